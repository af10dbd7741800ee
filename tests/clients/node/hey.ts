// Calls a server by the client that `@hey-api/openapi-ts` made of its document. Usage: hey.js URL TOKEN.
import { client } from './made/client.gen.js'
import * as made from './made/index.js'

const [baseUrl = '', auth = ''] = process.argv.slice(2)
client.setConfig({ baseUrl, auth })
const throwOnError = true

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`)
}

const event: made.LogEvent = { type: 'made.hey.logged', data: { score: 72 }, metadata: { ai: { agent: 'planner' } } }
const logged = (await made.eventsLog({ body: event, throwOnError })).data.result.data

const filter: made.EventFilter = { type: { startsWith: 'made.hey.' }, source: { in: ['api'] }, 'data.score': { gte: 70 } }
const found = (await made.eventsList({ body: { filter, limit: 1 }, throwOnError })).data.result.data
same(found.map((each) => [each.id, each.metadata?.ai?.agent]), [[logged.id, 'planner']])
const none = await made.eventsList({ body: { filter: { ...filter, 'data.score': { gt: 72 } } }, throwOnError })
same(none.data.result.data, [])

const body: made.PublishEvent = { type: 'made.hey.published', source: 'ci', data: { score: 72 } }
const published = (await made.publishPublish({ body, throwOnError })).data
const page = (await made.publishQuery({ query: { type: 'made.hey.*', limit: 1 }, throwOnError })).data
same(page.events.map((each) => each.eventId), [published.eventId])

const { error, response } = await made.browseEvent({ path: { event_id: 'nosuch' } })
same([response?.status, error?.error.code], [404, 'not_found'])
const refused = await made.eventsLog({ body: { ...event, type: 'synap.mine' } })
same([refused.response?.status, refused.error?.error.data.reason], [400, 'invalid_event_type'])

// @ts-expect-error: an event has a type
void (() => made.eventsLog({ body: { data: {} } }))
// @ts-expect-error: a list is asked for
void (() => made.eventsList({ body: { filter: { type: { in: 'code' } } } }))
