// How large the wasm is at each level of optimisation, and whose code it is.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { compile } from '../../scripts/build-pkg.mjs'

/** The levels that rustc has for code of this kind, the package's own first. wasm-opt is called with the same. */
const LEVELS = ['z', 's', 2, 3]

const CODE = 10
const DATA = 11
const CUSTOM = 0
const IMPORTS = 2
const FUNCTION_NAMES = 1

/** Compiles the wasm at every level, and hands it to `race`, whose findings are part of what is returned. */
export async function atEveryLevel(race) {
  const found = []
  await inFolder(async (folder) => {
    for (const level of LEVELS) {
      const own = join(folder, String(level))
      mkdirSync(own)
      const wasm = readFileSync(await compile(own, { level }))
      found.push({ level, raw: wasm.length, gzipped: gzipped(wasm), races: await race(wasm, level) })
    }
  })
  return found
}

/** The bytes of each crate's functions in the package's wasm, and those of its data, each with their part of the gzipped ones. */
export async function byCrate() {
  let wasm
  await inFolder(async (folder) => {
    wasm = { named: readFileSync(await compile(folder, { names: true })), own: readFileSync(await compile(folder)) }
  })
  const { functions, data } = anatomy(wasm.named)
  const sizes = new Map([['texts and tables', data]])
  for (const { name, size } of functions) {
    const crate = crateOf(name)
    sizes.set(crate, (sizes.get(crate) ?? 0) + size)
  }
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const share = gzipped(wasm.own) / total
  return [...sizes].map(([crate, raw]) => ({ crate, raw, gzipped: raw * share })).sort((left, right) => right.raw - left.raw)
}

async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-sizes-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length

/**
 * Whose a function is: of the crate that its name begins with, also where it is generic and was made for another. What
 * begins with no crate is exported, and thereby the bindings' own.
 */
function crateOf(name) {
  const [, crate] = name.match(/^[<&\s]*(?:mut |dyn |impl |\[)?([a-z_][a-z0-9_]*)(?:\[[0-9a-f]+\])?(?:::|>::)/) ?? name.match(/ as ([a-z_]\w*)(?:\[[0-9a-f]+\])?::/) ?? []
  switch (crate) {
    case 'edge_credits': return 'edge-credits, the core'
    case undefined:
    case 'edge_credits_wasm': return 'edge-credits-wasm, the bindings'
    case 'serde':
    case 'serde_core': return 'serde'
    case 'sha2':
    case 'digest':
    case 'block_buffer':
    case 'hybrid_array':
    case 'crypto_common': return 'sha2'
    case 'core':
    case 'alloc':
    case 'std':
    case 'u64':
    case 'str':
    case '__rustc':
    case 'compiler_builtins': return 'the standard library'
    default: return crate
  }
}

/** The functions of a module that has their names, with the bytes of each, and the bytes of its data. */
function anatomy(wasm) {
  let [place, imported, data] = [8, 0, 0]
  const sizes = []
  const names = new Map()
  const number = () => {
    for (let [value, unit] = [0, 1]; ; unit *= 128) {
      const byte = wasm[place++]
      value += (byte & 127) * unit
      if (byte < 128) return value
    }
  }
  const text = () => {
    const length = number()
    place += length
    return wasm.toString('utf8', place - length, place)
  }
  const readNames = (end) => {
    if (text() !== 'name') return
    while (place < end) {
      const kind = wasm[place++]
      const length = number()
      const past = place + length
      if (kind === FUNCTION_NAMES) for (let left = number(); left > 0; left--) names.set(number(), text())
      place = past
    }
  }
  while (place < wasm.length) {
    const section = wasm[place++]
    const length = number()
    const end = place + length
    if (section === IMPORTS) {
      // Only functions are imported, each with a type.
      for (let left = number(); left > 0; left--, imported++) [text(), text(), place++, number()]
    } else if (section === CODE) {
      for (let left = number(); left > 0; left--) {
        const size = number()
        sizes.push(size)
        place += size
      }
    } else if (section === DATA) data = end - place
    else if (section === CUSTOM) readNames(end)
    place = end
  }
  return { data, functions: sizes.map((size, index) => ({ size, name: names.get(index + imported) ?? '' })) }
}
