// How fast files go up: bytes per second, over the last few seconds.

const SPAN = 5000; // milliseconds that are looked back
const LEAST = 400; // milliseconds without which nothing can be said

export class Pace {
  #steps = []; // [moment, bytes]
  #since = 0;

  add(bytes) {
    const now = performance.now();
    if (!this.#recent(now).length) this.#since = now;
    this.#steps.push([now, bytes]);
  }

  /** Bytes per second; 0 if nothing has moved for a while, or if it is too early to say. */
  get speed() {
    const now = performance.now();
    const steps = this.#recent(now);
    const span = now - Math.max(this.#since, now - SPAN);
    return span < LEAST ? 0 : (steps.reduce((sum, [, bytes]) => sum + bytes, 0) / span) * 1000;
  }

  #recent(now) {
    this.#steps = this.#steps.filter(([moment]) => now - moment < SPAN);
    return this.#steps;
  }
}

/** That of all uploads of the page together. */
export const pace = new Pace();
