// The browser of this machine.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const QUIET = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

const executablePath = PLACES.find((place) => place && existsSync(place))

/** Why tests that need a browser are skipped; nothing where there is one, or where there must be. */
export const browserMissing = !executablePath && !process.env.CI && 'no Chromium found: install one, or set CHROMIUM to where it is'

export function openChromium() {
  if (!executablePath) throw new Error('no Chromium found: install one, or set CHROMIUM to where it is')
  return chromium.launch({ executablePath, headless: true, args: QUIET })
}
