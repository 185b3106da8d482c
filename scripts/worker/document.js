// The document of the API, as scripts/build.mjs found it: what is served at /openapi.json.

import text from './openapi.json'

export const document = () => text
