// The runtime's responses. worker/src/reply.rs says what is in them.

// What every answer says: it is data that nobody keeps, not to be taken for a page, and not to be fetched in the clear.
const BARE = new Headers({
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000',
})
const JSON_TEXT = new Headers([...BARE, ['Content-Type', 'application/json']])

/** An answer. `headers` has a line for each that says something else than every answer. */
export function answer(status, requestId, headers, body, webSocket) {
  const all = body === undefined ? BARE : JSON_TEXT
  // Every answer has an id of its own, and changing the one that is copied takes less than changing the copy.
  if (!webSocket) all.set('X-Request-Id', requestId ?? crypto.randomUUID())
  const response = webSocket ? new Response(null, { status, webSocket }) : new Response(body, { status, headers: all })
  if (headers !== '') setAll(response.headers, headers)
  return response
}

function setAll(headers, lines) {
  for (const line of lines.trimEnd().split('\n')) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon), line.slice(colon + 1))
  }
}

/** The id that Cloudflare's edge gave the request, or a random one, as in worker/src/trace.rs. */
function idOf(request) {
  const given = request.headers.get('CF-Ray')
  return given !== null && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : crypto.randomUUID()
}

/** What is said where the Rust module can say nothing; its own problems are made in worker/src/problem.rs. */
export function fault(request, error) {
  const request_id = idOf(request)
  console.error(JSON.stringify({ level: 'error', event: 'fault', request_id, detail: `no answer from the Rust module: ${error}` }))
  const problem = {
    type: 'about:blank',
    title: 'Internal Server Error',
    status: 500,
    code: 'internal',
    detail: 'something failed on our side; it is safe to try again with the same Idempotency-Key',
    request_id,
  }
  return answer(500, request_id, 'Content-Type:application/problem+json\nRetry-After:1', JSON.stringify(problem))
}
