// A file that a tab was sending when it was closed: it goes on when it is chosen again.

import { abandon, unfinished } from "../modules/resumable.js";

/** Looks like an upload to the list of uploads; only its file is missing. */
class Leftover {
  state = "left";
  active = false;
  error = "";

  constructor(record) {
    this.record = record;
    this.key = record.key;
    this.file = { name: record.name, size: record.size, type: "" };
    this.sent = record.acknowledged;
  }

  cancel() {
    return abandon(this.record);
  }
}

export const leftovers = () => unfinished().map((record) => new Leftover(record));
