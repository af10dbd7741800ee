// Calls that must not compile: each would be refused by the server, and the compiler knows it first. Never run.
import type { inferRouterOutputs } from '@trpc/server'
import type { client as typed } from './client.js'
import type { AppRouter } from './contract'

type Event = inferRouterOutputs<AppRouter>['events']['get']

export async function wrong(client: typeof typed, event: Event) {
  const { events } = client
  const type = 'note.made'
  const data = {}

  // What to call, and how.
  // @ts-expect-error no such router
  await client.notes.list.query()
  // @ts-expect-error no such procedure
  await events.remove.mutate({ eventId: 'x' })
  // @ts-expect-error another case
  await events.logbatch.mutate({ events: [] })
  // @ts-expect-error a query is not mutated
  await events.get.mutate({ eventId: 'x' })
  // @ts-expect-error a query is not mutated
  await events.list.mutate({})
  // @ts-expect-error a query is not subscribed to
  events.page.subscribe({}, {})
  // @ts-expect-error a mutation is not queried
  await events.log.query({ type, data })
  // @ts-expect-error a mutation is not queried
  await events.logBatch.query({ events: [] })

  // events.get
  // @ts-expect-error the input is needed
  await events.get.query()
  // @ts-expect-error eventId is needed
  await events.get.query({})
  // @ts-expect-error eventId is a text
  await events.get.query({ eventId: 1 })
  // @ts-expect-error eventId is needed, null is none
  await events.get.query({ eventId: null })
  // @ts-expect-error the bare id is no input
  await events.get.query('x')
  // @ts-expect-error it is eventId
  await events.get.query({ id: 'x' })
  // @ts-expect-error no such field
  await events.get.query({ eventId: 'x', colour: 'red' })

  // events.log
  // @ts-expect-error the input is needed
  await events.log.mutate()
  // @ts-expect-error data is needed
  await events.log.mutate({ type })
  // @ts-expect-error type is needed
  await events.log.mutate({ data })
  // @ts-expect-error type is a text
  await events.log.mutate({ type: 1, data })
  // @ts-expect-error data is an object
  await events.log.mutate({ type, data: 'text' })
  // @ts-expect-error data is an object
  await events.log.mutate({ type, data: 5 })
  // @ts-expect-error data is an object
  await events.log.mutate({ type, data: null })
  // @ts-expect-error no such source
  await events.log.mutate({ type, data, source: 'alien' })
  // @ts-expect-error source is lower case
  await events.log.mutate({ type, data, source: 'API' })
  // @ts-expect-error no such field
  await events.log.mutate({ type, data, colour: 'red' })
  // @ts-expect-error the server sets it
  await events.log.mutate({ type, data, timestamp: '2024-12-09T01:00:00Z' })
  // @ts-expect-error the server sets it
  await events.log.mutate({ type, data, seq: 1 })
  // @ts-expect-error the server sets it
  await events.log.mutate({ type, data, version: 'v1' })
  // @ts-expect-error subjectId is a text
  await events.log.mutate({ type, data, subjectId: 456 })
  // @ts-expect-error an instant is no number
  await events.log.mutate({ type, data, occurredAt: 1733706000 })
  // @ts-expect-error userId is a text
  await events.log.mutate({ type, data, userId: { id: 'x' } })

  // metadata
  // @ts-expect-error metadata is an object
  await events.log.mutate({ type, data, metadata: 'ai' })
  // @ts-expect-error no such kind
  await events.log.mutate({ type, data, metadata: { weather: { sunny: true } } })
  // @ts-expect-error agent is needed
  await events.log.mutate({ type, data, metadata: { ai: {} } })
  // @ts-expect-error agent is a text
  await events.log.mutate({ type, data, metadata: { ai: { agent: 5 } } })
  // @ts-expect-error no such field
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', mood: 'good' } } })
  // @ts-expect-error confidence is an object
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', confidence: 0.92 } } })
  // @ts-expect-error score is needed
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', confidence: {} } } })
  // @ts-expect-error score is a number
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', confidence: { score: '0.92' } } } })
  // @ts-expect-error no such method
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', extraction: { extractedFrom: { messageId: 'm', threadId: 't' }, method: 'guess' } } } })
  // @ts-expect-error threadId is needed
  await events.log.mutate({ type, data, metadata: { ai: { agent: 'a', extraction: { extractedFrom: { messageId: 'm' }, method: 'explicit' } } } })
  // @ts-expect-error importedAt is needed
  await events.log.mutate({ type, data, metadata: { import: { source: 'notion' } } })
  // @ts-expect-error no such import source
  await events.log.mutate({ type, data, metadata: { import: { source: 'paper', importedAt: '2024-12-09T01:00:00Z' } } })
  // @ts-expect-error no such platform
  await events.log.mutate({ type, data, metadata: { sync: { deviceId: 'd', platform: 'fridge', syncedAt: '2024-12-09T01:00:00Z' } } })
  // @ts-expect-error ruleName is needed
  await events.log.mutate({ type, data, metadata: { automation: { ruleId: 'r', trigger: { type: 'event' } } } })
  // @ts-expect-error custom is a record
  await events.log.mutate({ type, data, metadata: { custom: 'x' } })

  // events.logBatch
  // @ts-expect-error the events stand in a field
  await events.logBatch.mutate([{ type, data }])
  // @ts-expect-error an array
  await events.logBatch.mutate({ events: { type, data } })
  // @ts-expect-error each needs data
  await events.logBatch.mutate({ events: [{ type, data }, { type }] })

  // events.list, events.page
  // @ts-expect-error limit is a number
  await events.list.query({ limit: '10' })
  // @ts-expect-error hasMetadata is a boolean
  await events.list.query({ hasMetadata: 'true' })
  // @ts-expect-error no such source
  await events.list.query({ source: 'alien' })
  // @ts-expect-error no such field
  await events.list.query({ colour: 'red' })
  // @ts-expect-error one pattern
  await events.list.query({ type: ['a.b'] })
  // @ts-expect-error cursor is a text
  await events.page.query({ cursor: 5 })

  // What comes back.
  // @ts-expect-error no such field
  event.colour
  // @ts-expect-error unset fields are undefined
  event.subjectId.length
  // @ts-expect-error metadata may be missing
  event.metadata.ai
  // @ts-expect-error seq is a number
  event.seq.toUpperCase()
  // @ts-expect-error no such source
  event.source === 'alien'
  // @ts-expect-error what data holds is unknown
  event.data['title'].length
  // @ts-expect-error a list is no page
  ;(await events.list.query()).events
  // @ts-expect-error a page may be the last
  ;(await events.page.query()).nextCursor.length
}
