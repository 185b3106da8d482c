// Holds every answer of a local server against the document, whoever asks:
//
//     node --import ./tests/openapi/every-answer.mjs --test tests/e2e/
//
// Paths that lead nowhere, methods that a path does not take and preflights are no operations of the document.

import { judge } from './contract.mjs'

const fetch = globalThis.fetch

globalThis.fetch = async function judged(url, options = {}) {
  const answer = await fetch(url, options)
  const { hostname, pathname } = new URL(url)
  const method = options.method ?? 'GET'
  if (hostname === '127.0.0.1' && method !== 'OPTIONS') {
    const text = await answer.clone().text()
    const body = /[/+]json\b/.test(answer.headers.get('Content-Type') ?? '') ? JSON.parse(text) : text
    if (!['not_found', 'method_not_allowed'].includes(body.code)) judge(method, pathname, { status: answer.status, headers: answer.headers, body })
  }
  return answer
}
