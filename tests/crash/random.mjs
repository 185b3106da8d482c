// Chance that can be had again: the same seed gives the same numbers.

/** Mulberry32: small, seeded, and good enough for tests. */
export function randomness(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (bound) => Math.floor(next() * bound)
  return { next, below, pick: (list) => list[below(list.length)], chance: (share) => next() < share }
}
