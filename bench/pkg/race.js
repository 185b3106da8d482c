// The race: the package and the JavaScript implementation take turns, so that a busy machine slows both alike.

import { withBig } from './with-big.js'

const ROUNDS = 100
const CALLS = 5_000
const BATCH = 1_000

/** The best time of each, in nanoseconds for one estimate, and how often the package's goes into the other's. */
export function race(estimator, Big) {
  const rival = withBig(Big, estimator.catalog)
  const requests = requestsOf(estimator.catalog)
  for (const [place, request] of requests.entries()) {
    const [ours, theirs] = [estimator.estimate(request), rival.estimate(request)].map((answer) => JSON.stringify(answer))
    if (ours !== theirs) throw new Error(`the two disagree on request ${place}: ${ours} and ${theirs}`)
  }
  const singly = (one) => time(CALLS, () => {
    for (let call = 0; call < CALLS; call++) one.estimate(requests[call % BATCH])
  })
  const inBatches = (one) => time(CALLS, () => {
    for (let call = 0; call < CALLS; call += BATCH) one.estimateAll(requests)
  })
  return { singly: compare(singly, estimator, rival), 'in batches': compare(inBatches, estimator, rival) }
}

function compare(measure, estimator, rival) {
  let [ours, theirs] = [Infinity, Infinity]
  for (let round = 0; round < ROUNDS; round++) {
    ours = Math.min(ours, measure(estimator))
    theirs = Math.min(theirs, measure(rival))
  }
  return { ours, theirs, ratio: theirs / ours }
}

function time(calls, run) {
  const began = performance.now()
  run()
  return (performance.now() - began) * 1e6 / calls
}

/** Calls of every model, of what such calls use: mostly text, with input and output. */
function requestsOf({ models }) {
  let seed = 7
  const drawn = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most
  return Array.from({ length: BATCH }, () => {
    const { id, modality } = models[drawn(models.length)]
    switch (modality) {
      case 'text': return { model: id, usage: { input_tokens: drawn(20_000), output_tokens: drawn(4_000) } }
      case 'image': return { model: id, usage: { images: 1 + drawn(8) } }
      case 'video': return { model: id, usage: { seconds: drawn(60_000) / 1000 } }
      default: return { model: id, usage: { uses: 1 + drawn(3) } }
    }
  })
}
