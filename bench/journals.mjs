// Accounts with long histories. The Worker itself opens the accounts, so that file names and tables are its own; then
// their rows are replaced by a history that the core made. The result is kept until the code that it depends on changes.

import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, hashOf, must, paths, read } from '../scripts/tools.mjs'
import { freshFolder, modules, server } from './servers.mjs'

const CACHE = join(ROOT, 'bench', '.cache')
/** The accounts, and how many entries each is given. Those with none are as their opening left them. */
const JOURNALS = { big: 1_000_000, small: 1_000, empty: 0, other: 0 }

/** The disk folder of a server with these accounts. It is made in a minute or so, and then kept. */
export async function journals(build) {
  const key = hashOf(['src', 'catalog', 'worker/src/store.rs', 'worker/src/chain.rs', 'bench/journal', 'bench/journals.mjs'])
  const disk = join(CACHE, 'journals')
  if (read(join(disk, '.stamp')) === key) return disk
  console.error('bench: writing an account with 1,000,000 entries (a minute or two; it is kept)')
  rmSync(disk, { recursive: true, force: true })
  mkdirSync(CACHE, { recursive: true })
  await must('cargo', [
    'build', '--release', '--package', 'journal', '--quiet', '--manifest-path', join(ROOT, 'bench', 'Cargo.toml'),
  ])
  const staging = freshFolder('journals')
  const opener = server('opener', modules.ours(build), { disk: staging })
  await opener.start()
  const files = {}
  const folder = join(staging, 'account')
  for (const account of Object.keys(JOURNALS)) {
    const before = new Set(existsSync(folder) ? databases(folder) : [])
    await opener.open(account)
    files[account] = databases(folder).find((file) => !before.has(file))
  }
  await opener.stop()
  for (const [account, entries] of Object.entries(JOURNALS)) {
    // By the Node that comes with the packages: older ones have no SQLite.
    const script = join(ROOT, 'bench', 'journal', 'fill.mjs')
    const fill = ['--disable-warning=ExperimentalWarning', script, join(folder, files[account]), account, String(entries)]
    if (entries > 0) await must(paths.node, fill)
  }
  // What the Worker cannot read would be measured as something else.
  await opener.start()
  for (const account of Object.keys(JOURNALS)) {
    await opener.ask('GET', `/v1/accounts/${account}/balance`)
    await opener.ask('POST', `/v1/accounts/${account}/charges`, { model: 'flux-schnell', usage: { images: 1 } })
  }
  await opener.stop()
  move(staging, disk)
  writeFileSync(join(disk, '.stamp'), key)
  return disk
}

const databases = (folder) => readdirSync(folder).filter((file) => file.endsWith('.sqlite'))

function move(from, to) {
  try {
    renameSync(from, to)
  } catch {
    cpSync(from, to, { recursive: true }) // To another file system.
  }
}
