// The least that a Worker can be: what starting takes without any of ours.

export default {
  fetch: () => Response.json({ status: 'ok' }),
}
