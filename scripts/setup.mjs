// Installs what is missing, and only that: npm packages, Rust's wasm target, and the wasm-bindgen command line.

import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, ROOT, WASM_TARGET, ask, hashOf, isMain, locked, lockedVersion, main, must, paths, read } from './tools.mjs'

export function setup() {
  return locked('setup', async () => {
    await installRustParts()
    await installPackages()
    await installWasmBindgen()
  })
}

async function installRustParts() {
  if (!ask('cargo', ['--version'])) {
    throw new Failure('no cargo found: install Rust with rustup (https://rustup.rs), then run this again')
  }
  const sysroot = ask('rustc', ['--print', 'sysroot'])
  if (!sysroot) throw new Failure('rustc does not work here: `rustup default stable` installs a toolchain')
  const wanted = read(join(ROOT, 'Cargo.toml')).match(/^rust-version = "(.+)"/m)[1]
  const version = ask('rustc', ['--version']).match(/\d+\.\d+/)[0]
  if (version.localeCompare(wanted, 'en', { numeric: true }) < 0) {
    throw new Failure(`Rust ${version} is too old, ${wanted} or newer is needed: \`rustup update stable\` brings it`)
  }

  const missing = (path) => !existsSync(join(sysroot, path))
  if (missing(`lib/rustlib/${WASM_TARGET}/lib`)) await addWithRustup('target', WASM_TARGET)
  if (missing('bin/rustfmt')) await addWithRustup('component', 'rustfmt')
  if (missing('bin/cargo-clippy')) await addWithRustup('component', 'clippy')
}

async function addWithRustup(what, name) {
  if (!ask('rustup', ['--version'])) {
    throw new Failure(`Rust's ${what} ${name} is missing, and so is rustup, which would install it (https://rustup.rs)`)
  }
  console.log(`setup: adding Rust's ${what} ${name} (once)`)
  await must('rustup', [what, 'add', name])
}

async function installPackages() {
  const stamp = join(ROOT, 'node_modules', '.lock-hash')
  const hash = hashOf(['package-lock.json'])
  if (read(stamp) === hash && existsSync(paths.node)) return
  console.log('setup: installing the npm packages (once, less than a minute)')
  // The packages that want a newer Node get it: the package `node` brings the one that runs them.
  await must('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--ignore-scripts=false'])
  writeFileSync(stamp, hash)
}

async function installWasmBindgen() {
  const version = lockedVersion('wasm-bindgen')
  if (ask(paths.wasmBindgen, ['--version']) === `wasm-bindgen ${version}`) return
  console.log(`setup: installing wasm-bindgen-cli ${version} (once, about 2 minutes)`)
  // Its own lock file names a withdrawn crate, so no --locked. Its default features are for running tests in
  // browsers, which we do otherwise, and need a C compiler. It is built for a quick start of this set-up: what it does
  // later takes a second anyway.
  await must('cargo', [
    'install', 'wasm-bindgen-cli', '--version', `=${version}`, '--bin', 'wasm-bindgen', '--no-default-features',
    '--root', paths.tools, '--target-dir', join(paths.tools, 'target'), '--force', '--quiet',
  ], { env: { CARGO_PROFILE_RELEASE_OPT_LEVEL: '1', CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16' } })
  rmSync(join(paths.tools, 'target'), { recursive: true, force: true })
}

if (isMain(import.meta)) {
  await main(async () => {
    await setup()
    console.log('setup: everything is there')
  })
}
