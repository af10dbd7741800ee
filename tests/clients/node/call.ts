// Calls a server by the types that `openapi-typescript` made from its document. Usage: call.js URL TOKEN.
import createClient from 'openapi-fetch'
import type { components, paths } from './api.js'

const [baseUrl, token] = process.argv.slice(2)
const client = createClient<paths>({ baseUrl: baseUrl ?? '', headers: { authorization: `Bearer ${token}` } })

function found<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error))
  return answer.data
}

const event: components['schemas']['PublishEvent'] = {
  type: 'code.analysis.complete',
  source: 'github.action',
  data: { score: 72 },
}
const published = found(await client.POST('/v1/events', { body: event }))
const { eventId } = published

const page = found(await client.GET('/v1/events', { params: { query: { type: 'code.*', limit: 1 } } }))
if (page.events[0]?.eventId !== eventId) throw new Error(`${page.events[0]?.eventId} is not ${eventId}`)

const body = { type: 'code.*', filter: { 'data.score': { gte: 70 } }, orderBy: [{ createdAt: 'desc' as const }] }
const browsed = found(await client.POST('/trpc/events.browse', { body }))
const ids: string[] = browsed.result.data.data.map((each) => each.id)
if (!ids.includes(eventId)) throw new Error(`${ids} lack ${eventId}`)

const { error, response } = await client.GET('/api/events/{event_id}', { params: { path: { event_id: 'nosuch' } } })
if (response.status !== 404 || error?.error.code !== 'not_found') throw new Error(JSON.stringify(error))

// @ts-expect-error: an event has a type
void (() => client.POST('/v1/events', { body: { source: 'github.action', data: {} } }))
// @ts-expect-error: a list is asked for
void (() => client.POST('/trpc/events.browse', { body: { filter: { type: { in: 'code' } } } }))
// @ts-expect-error: there is no such path
void (() => client.GET('/v1/nosuch'))
