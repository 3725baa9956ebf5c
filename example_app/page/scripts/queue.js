// Jobs that take turns: a few run at once, the others wait.

export class Queue {
  #waiting = [];
  #running = new Set();

  constructor(limit) {
    this.limit = limit;
  }

  add(job) {
    this.#waiting.push(job);
    this.#next();
  }

  /** Take a job out that has not begun. */
  remove(job) {
    this.#waiting = this.#waiting.filter((each) => each !== job);
  }

  #next() {
    while (this.#running.size < this.limit && this.#waiting.length) this.#run(this.#waiting.shift());
  }

  async #run(job) {
    this.#running.add(job);
    try {
      await job.run();
    } finally {
      this.#running.delete(job);
      this.#next();
    }
  }
}
