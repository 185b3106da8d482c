// The gate of an account: commands that arrive while a commit is under way wait for its end, and are then written
// together. A disk takes as long to sync one entry as fifty.
//
// A lone command never waits, and leaves the gate open: telling when its commit is done would take longer than it gains.
// What goes through together still goes one after another, each in a transaction of its own: a refusal or a fault of one
// does not touch the next.

export class Gate {
  #storage
  #isShut = false
  #waiting = []
  /** How many are on their way through, from their arrival to their answer. */
  #inside = 0

  constructor(storage) {
    this.#storage = storage
  }

  enter() {
    this.#inside++
  }

  leave() {
    this.#inside--
  }

  /** Whether a commit is under way whose end is waited for. */
  get isShut() {
    return this.#isShut
  }

  /** A promise of its end. */
  opens() {
    return new Promise((go) => this.#waiting.push(go))
  }

  /** Says that something was written. Where others are inside, the gate is shut until it is on the disk. */
  shutUntilSynced() {
    if (this.#isShut || this.#inside < 2) return
    this.#isShut = true
    this.#openWhenSynced()
  }

  async #openWhenSynced() {
    for (;;) {
      // If the disk fails, the runtime ends the object, and with it everyone who waits.
      await this.#storage.sync().catch(() => {})
      if (this.#waiting.length === 0) break
      for (const go of this.#waiting.splice(0)) go()
      await null // Those who wait go first, all of them.
    }
    this.#isShut = false
  }
}
