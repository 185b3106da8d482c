// Builds the npm package into pkg/dist/: the wasm, and the entries that carry it. Nothing is done when nothing has
// changed since the last build. `npm pack` in pkg/ then makes the tarball that is published.

import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, inflateRawSync } from 'node:zlib'
import { setup } from './setup.mjs'
import { Failure, ROOT, WASM_TARGET, ask, hashOf, isMain, locked, machinePaths, main, must, paths, read, wasmEnv } from './tools.mjs'

const PKG = join(ROOT, 'pkg')
const BUILD = join(PKG, 'build')
const DIST = join(PKG, 'dist')
const LICENSES = ['LICENSE-APACHE', 'LICENSE-MIT']
const INPUTS = [
  'Cargo.toml', 'Cargo.lock', 'src', 'catalog', 'package-lock.json', 'pkg/Cargo.toml', 'pkg/src', 'pkg/js', 'pkg/types',
  'worker/openapi.json', 'scripts/api-types.mjs',  'scripts/build-pkg.mjs', 'scripts/tools.mjs', ...LICENSES,
]

// A catalog is hashed once, when it is opened: a small hash function is better than a quick one.
const SMALL_HASH = ['--cfg=sha2_backend="soft"', '--cfg=sha2_backend_soft="compact"']

// What rustc turns on by default for this target, named one by one, so that wasm-opt never writes an encoding that
// some runtime does not know yet.
const WASM_FEATURES = [
  'mutable-globals', 'sign-ext', 'nontrapping-float-to-int', 'bulk-memory', 'multivalue', 'reference-types',
]

// Functions are inlined at their only call just where that is shorter: alike calls compress better than alike bodies.
// The lowest memory is unused since the stack ends there, so that offsets may be folded into loads and stores.
const SMALLER = ['-Oz', '--one-caller-inline-max-function-size=1', '--low-memory-unused']

export function buildPkg() {
  return locked('build-pkg', async () => {
    const stamp = join(BUILD, '.stamp')
    const hash = hashOf(INPUTS, ask('rustc', ['--version']))
    if (read(stamp) === hash) {
      console.log('build: the npm package is up to date')
      return
    }
    console.log('build: compiling the npm package (half a minute the first time)')
    for (const folder of [BUILD, DIST]) {
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder)
    }
    const small = await compile(BUILD)
    const wasm = readFileSync(small)
    refuseMachinePaths(wasm)
    await bundle(wasm)
    await writeTypes()
    for (const license of LICENSES) copyFileSync(join(ROOT, license), join(PKG, license))
    writeFileSync(stamp, hash)
    console.log(`build: the npm package is ready, ${size(wasm)} of wasm; estimates download ${downloadSize()}`)
  })
}

/**
 * Compiles the wasm into a folder, with what calls it, and gives its file. As the package has it, unless another
 * `level` of optimisation is named, or the functions are to keep their `names`.
 */
export async function compile(folder, { level = 'z', names = false } = {}) {
  const { CARGO_ENCODED_RUSTFLAGS, ...env } = wasmEnv()
  const flags = [CARGO_ENCODED_RUSTFLAGS, ...SMALL_HASH].join('\x1f')
  await must('cargo', [
    'build', '--package', 'edge-credits-wasm', '--release', '--target', WASM_TARGET, '--quiet',
    // A folder of its own, since the Worker is built with other flags: neither build undoes the other.
    '--target-dir', join(targetFolder(), 'pkg'), '--config', `profile.release.opt-level=${JSON.stringify(level)}`,
  ], { env: { ...env, CARGO_ENCODED_RUSTFLAGS: flags } })
  await must(paths.wasmBindgen, [
    join(targetFolder(), 'pkg', WASM_TARGET, 'release', 'edge_credits_wasm.wasm'),
    '--out-dir', folder, '--out-name', 'glue', '--target', 'bundler', '--no-typescript',
  ])
  const small = join(folder, 'edge_credits.wasm')
  await must(paths.node, [
    paths.npmBin('wasm-opt'), join(folder, 'glue_bg.wasm'), ...(level === 'z' ? SMALLER : [`-O${level}`]),
    names ? '--debuginfo' : '--strip-producers', ...WASM_FEATURES.map((feature) => `--enable-${feature}`), '-o', small,
  ])
  return small
}

async function bundle(wasm) {
  const { build } = await import('esbuild')
  writeFileSync(join(BUILD, 'wasm.js'), `export default '${(await deflated(wasm)).toString('base64')}'\n`)
  writeFileSync(join(DIST, 'edge_credits.wasm'), wasm)

  // One class of errors for both entries, which is why it stays a module of its own.
  const shared = (extension) => ({
    name: 'shared',
    setup: ({ onResolve }) => onResolve({ filter: /^\.\/error\.js$/ }, ({ kind }) => (
      kind === 'entry-point' ? null : { path: `./error.${extension}`, external: true }
    )),
  })
  const make = (names, format, extension) => build({
    absWorkingDir: PKG,
    entryPoints: names.map((name) => `js/${name}.js`),
    outdir: 'dist',
    outExtension: { '.js': `.${extension}` },
    bundle: true,
    format,
    minify: true,
    target: 'es2022',
    external: ['./edge_credits.wasm'],
    plugins: [shared(extension)],
    logLevel: 'warning',
  })
  await make(['index', 'client', 'error', 'workerd'], 'esm', 'js')
  await make(['index', 'client', 'error'], 'cjs', 'cjs')
}

/** Deflated by Zopfli, which takes a second and finds a twentieth less than zlib does. */
async function deflated(bytes) {
  const { deflateAsync } = await import('@gfx/zopfli')
  const small = Buffer.from(await deflateAsync(bytes, { numiterations: 30 }))
  if (!inflateRawSync(small).equals(bytes)) throw new Failure('the compressed wasm is not the wasm')
  return small
}

/** The types, and the same for CommonJS, where a relative import names the .cjs file. */
async function writeTypes() {
  const { apiTypes } = await import('./api-types.mjs')
  const written = readdirSync(join(PKG, 'types')).map((name) => [name, readFileSync(join(PKG, 'types', name), 'utf8')])
  const generated = await apiTypes(JSON.parse(readFileSync(join(ROOT, 'worker', 'openapi.json'), 'utf8')))
  for (const [name, types] of [...written, ['api.d.ts', generated]]) {
    writeFileSync(join(DIST, name), types)
    writeFileSync(join(DIST, name.replace(/\.d\.ts$/, '.d.cts')), types.replace(/(from '\.\/.+)\.js'/g, "$1.cjs'"))
  }
}

/** Whoever downloads the wasm learns nothing about the machine that built it. */
function refuseMachinePaths(wasm) {
  const found = machinePaths().find(([path]) => wasm.includes(path))
  if (found) throw new Failure(`the wasm names the folder ${found[0]} of this machine`)
}

const targetFolder = () => process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} KB`
const size = (bytes) => `${kilobytes(bytes.length)} (${kilobytes(gzipSync(bytes, { level: 9 }).length)} gzipped)`

/** All that a browser loads for estimates: the entry with the wasm, the glue and the catalog in it, and its errors. */
function downloadSize() {
  return size(Buffer.concat(['index.js', 'error.js'].map((name) => readFileSync(join(DIST, name)))))
}

if (isMain(import.meta)) {
  await main(async () => {
    await setup()
    await buildPkg()
  })
}
