// The entry for browsers, bundlers, Node, Deno and Bun. The wasm is part of it, compressed: there is no file to find.

import wasm from '../build/wasm.js'
import { EdgeCreditsError } from './error.js'
import { estimators } from './load.js'

export { EdgeCreditsError }

export const createEstimator = /* @__PURE__ */ estimators(async () => {
  const compressed = Uint8Array.from(atob(wasm), (byte) => byte.charCodeAt(0))
  const bytes = new Blob([compressed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Response(bytes).arrayBuffer()
})
