// Fresh projects with the package installed from its tarball, as a user gets it.

import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
export const ROOT = dirname(dirname(HERE))
const TARBALL = process.env.EDGE_CREDITS_TARBALL
if (!TARBALL) throw new Error('run these tests with `npm run test:pkg`, which packs the package first')

/** A command that the tests install for themselves, or one of the workspace. */
export const tool = (name) => join(HERE, 'node_modules', '.bin', name)
export const workspaceTool = (name) => join(ROOT, 'node_modules', '.bin', name)

export const nodes = {
  'Node 20': join(HERE, 'node_modules', 'node20', 'bin', 'node'),
  'Node 22': workspaceTool('node'),
}

export const vectorsFile = join(ROOT, 'tests', 'vectors', 'vectors.json')

/** The vectors, each with the source of its catalog. */
export function readVectors() {
  return JSON.parse(readFileSync(vectorsFile, 'utf8'))
}

const folders = []
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-pkg-'))
  folders.push(folder)
  return folder
}

/** A new project with these files, and with the package installed. What all of them check with is beside them. */
export async function project(files, { type = 'module' } = {}) {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'a-user', private: true, type }))
  cpSync(join(HERE, 'everywhere.mjs'), join(folder, 'everywhere.mjs'))
  cpSync(vectorsFile, join(folder, 'vectors.json'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  await must('npm', ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', TARBALL], { cwd: folder })
  return folder
}

/** What a command printed and how it ended. */
export function run(command, args, { cwd, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => (stdout += data))
    child.stderr.on('data', (data) => (stderr += data))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** What a command that must succeed printed. */
export async function must(command, args, options) {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout
}
