// Calls a server by the client that `orval` made of its document. Usage: orval.js URL TOKEN.
import * as made from './made/api.js'

const [url, token] = process.argv.slice(2)
const options = { headers: { authorization: `Bearer ${token}` } }
const send = globalThis.fetch
globalThis.fetch = (address, init) => send(new URL(String(address), url), init) // it asks the page's own server

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`)
}

function answered<T extends { status: number }>(answer: T): Extract<T, { status: 200 | 201 }> {
  if (answer.status >= 300) throw new Error(JSON.stringify(answer))
  return answer as Extract<T, { status: 200 | 201 }>
}

const event: made.LogEvent = { type: 'made.orval.logged', data: { score: 72 }, metadata: { ai: { agent: 'planner' } } }
const logged = answered(await made.eventsLog(event, options)).data.result.data

const filter: made.EventFilter = { type: { startsWith: 'made.orval.' }, source: { in: ['api'] }, 'data.score': { gte: 70 } }
const found = answered(await made.eventsList({ filter, limit: 1 }, options)).data.result.data
same(found.map((each) => [each.id, each.metadata?.ai?.agent]), [[logged.id, 'planner']])
const none = answered(await made.eventsList({ filter: { ...filter, 'data.score': { gt: 72 } } }, options))
same(none.data.result.data, [])

const published = answered(await made.publishPublish({ type: 'made.orval.published', source: 'ci', data: { score: 72 } }, options)).data
const page = answered(await made.publishQuery({ type: 'made.orval.*', limit: 1 }, options)).data
same(page.events.map((each) => each.eventId), [published.eventId])

const missing = await made.browseEvent('nosuch', undefined, options)
same(missing.status === 404 && missing.data.error.code, 'not_found')
const refused = await made.eventsLog({ ...event, type: 'synap.mine' }, options)
same(refused.status === 400 && refused.data.error.data.reason, 'invalid_event_type')

// @ts-expect-error: an event has a type
void (() => made.eventsLog({ data: {} }))
// @ts-expect-error: a list is asked for
void (() => made.eventsList({ filter: { type: { in: 'code' } } }))
