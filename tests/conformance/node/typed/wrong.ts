// Calls that must not compile: each would be refused by the server, and the compiler knows it first. Never run.
import type { TRPCClient, TRPCClientError } from '@trpc/client'
import type { inferRouterOutputs } from '@trpc/server'
import type { client as typed } from './client.js'
import type { AppRouter, EventFilter } from './contract'

type Event = inferRouterOutputs<AppRouter>['events']['get']

export async function wrong(client: typeof typed, event: Event, error: TRPCClientError<AppRouter>) {
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
  // @ts-expect-error a type has a dot
  await events.log.mutate({ type: 'created', data })
  // @ts-expect-error data is an object, no array
  await events.log.mutate({ type, data: [data] })
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

  // events.erase
  // @ts-expect-error what to erase is needed
  await events.erase.mutate()
  // @ts-expect-error what to erase is needed
  await events.erase.mutate({})
  // @ts-expect-error one selection
  await events.erase.mutate({ userId: 'ann', subjectId: 'x' })
  // @ts-expect-error one selection
  await events.erase.mutate({ ids: ['x'], userId: 'ann' })
  // @ts-expect-error what to replay is needed
  await client.subscriptions.replay.mutate({ subscriptionId: 'x' })
  // @ts-expect-error a range has an end
  await client.subscriptions.replay.mutate({ subscriptionId: 'x', fromSeq: 1 })
  // @ts-expect-error one selection
  await client.subscriptions.replay.mutate({ subscriptionId: 'x', eventId: 'x', fromSeq: 1, toSeq: 2 })

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

  // events.browse
  const find = (filter: EventFilter) => filter
  // @ts-expect-error no such field
  await events.browse.query({ filter: { colour: 'red' } })
  // @ts-expect-error no such field
  await events.browse.query({ filter: { OR: [{ NOT: { colour: 'red' } }] } })
  // @ts-expect-error a filter is an object
  await events.browse.query({ filter: 'source' })
  // @ts-expect-error no such source
  find({ source: 'alien' })
  // @ts-expect-error no such source
  find({ source: { in: ['api', 'alien'] } })
  // @ts-expect-error no such operator
  find({ type: { matches: 'a' } })
  // @ts-expect-error seq is a number
  find({ seq: '1' })
  // @ts-expect-error a number has no parts
  find({ seq: { contains: 1 } })
  // @ts-expect-error ids have no order
  find({ id: { gt: 'x' } })
  // @ts-expect-error a list has no null
  find({ subjectId: { in: [null] } })
  // @ts-expect-error several values are `in`
  find({ type: ['note.made', 'note.read'] })
  // @ts-expect-error isNull is a boolean
  find({ parentId: { isNull: 'yes' } })
  // @ts-expect-error data itself has no value
  find({ data: { eq: 'x' } })
  // @ts-expect-error a member of data equals no object
  find({ 'data.a': { eq: {} } })
  // @ts-expect-error booleans have no order
  find({ 'data.a': { gt: true } })
  // @ts-expect-error no such kind
  find({ 'metadata.review.stars': 5 })
  // @ts-expect-error no such field of its kind
  find({ 'metadata.ai.colour': 'red' })
  // @ts-expect-error a score is a number
  find({ 'metadata.ai.confidence.score': { gte: '0.9' } })
  // @ts-expect-error a number has no parts
  find({ 'metadata.ai.confidence.score': { startsWith: '0' } })
  // @ts-expect-error no such method
  find({ 'metadata.ai.extraction.method': 'guess' })
  // @ts-expect-error booleans have no order
  find({ 'metadata.sync.offline': { gt: false } })
  // @ts-expect-error an array has no members
  find({ 'metadata.ai.classification.tags.first': 'a' })
  // @ts-expect-error AND takes an array
  find({ AND: { type: 'note.made' } })
  // @ts-expect-error NOT takes one filter
  find({ NOT: [{ type: 'note.made' }] })
  // @ts-expect-error a relation says some or none
  find({ parent: { type: 'note.made' } })
  // @ts-expect-error a relation says some or none
  find({ children: {} })
  // @ts-expect-error no such field of the parent
  find({ parent: { some: { colour: 'red' } } })
  // @ts-expect-error one field for each key of an order
  await events.browse.query({ orderBy: [{ seq: 'asc', createdAt: 'desc' }] })
  // @ts-expect-error an order is an array
  await events.browse.query({ orderBy: { seq: 'asc' } })
  // @ts-expect-error no such field
  await events.browse.query({ orderBy: [{ colour: 'asc' }] })
  // @ts-expect-error no such direction
  await events.browse.query({ orderBy: [{ seq: 'up' }] })
  // @ts-expect-error free members have no order
  await events.browse.query({ orderBy: [{ 'data.title': 'asc' }] })
  // @ts-expect-error hashes have no order
  await events.browse.query({ orderBy: [{ hash: 'asc' }] })

  // keys
  const { keys } = client
  // @ts-expect-error the input is needed
  await keys.create.mutate()
  // @ts-expect-error scopes are needed
  await keys.create.mutate({ userId: 'ann' })
  // @ts-expect-error no such scope
  await keys.create.mutate({ scopes: ['events:delete'] })
  // @ts-expect-error an array
  await keys.create.mutate({ scopes: '*' })
  // @ts-expect-error it is expiresInSeconds
  await keys.create.mutate({ scopes: ['*'], expiresAt: '2030-01-01T00:00:00Z' })
  // @ts-expect-error keyId is needed
  await keys.rotate.mutate({ graceSeconds: 60 })
  // @ts-expect-error a mutation is not queried
  await keys.revoke.query({ keyId: 'x' })
  // @ts-expect-error a list is paged
  ;(await keys.list.query({})).length
  // @ts-expect-error a token is shown once
  ;(await keys.list.query({})).keys[0]?.token
  // @ts-expect-error a revoked key has no token
  ;(await keys.revoke.mutate({ keyId: 'x' })).token

  // What comes back.
  // @ts-expect-error no such code
  error.data?.reason === 'not_there'
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
  ;(await events.page.query({})).nextCursor.length
}

export function wrongStreams(plain: TRPCClient<AppRouter>, marked: TRPCClient<AppRouter<{ markers: true }>>) {
  const { stream } = plain.events
  const onData = () => {}
  const flag: boolean = Math.random() < 0.5

  // What to ask for.
  // @ts-expect-error a subscription is not queried
  stream.query({})
  // @ts-expect-error no such field
  stream.subscribe({ colour: 'red' }, { onData })
  // @ts-expect-error no such source
  stream.subscribe({ source: 'alien' }, { onData })
  // @ts-expect-error no such source
  stream.subscribe({ filter: { source: 'alien' } }, { onData })
  // @ts-expect-error events are looked at one by one
  stream.subscribe({ filter: { parent: { some: { type: 'note.made' } } } }, { onData })
  // @ts-expect-error also further in
  stream.subscribe({ filter: { OR: [{ NOT: { children: { none: {} } } }] } }, { onData })
  // @ts-expect-error the ledger's likewise
  plain.ledger.stream.subscribe({ filter: { AND: [{ parent: { none: {} } }] } }, { onData })
  // @ts-expect-error a filter of lists may have relations
  stream.subscribe({ filter: Object.create(null) as EventFilter }, { onData })
  // @ts-expect-error one pattern
  stream.subscribe({ type: ['a.b'] }, { onData })
  // @ts-expect-error start is a text
  stream.subscribe({ start: 0 }, { onData })
  // @ts-expect-error a stream has no limit
  stream.subscribe({ limit: 10 }, { onData })
  // @ts-expect-error without the markers of the router there are none
  stream.subscribe({ markers: true }, { onData })
  // @ts-expect-error it may be true
  stream.subscribe({ markers: flag }, { onData })
  // @ts-expect-error markers is a boolean
  stream.subscribe({ markers: 'no' }, { onData })

  // The same with markers.
  // @ts-expect-error no such field
  marked.events.stream.subscribe({ colour: 'red', markers: true }, { onData })
  // @ts-expect-error no such source
  marked.events.stream.subscribe({ source: 'alien', markers: true }, { onData })
  // @ts-expect-error markers is needed
  marked.events.stream.subscribe({}, { onData })
  // @ts-expect-error the input is needed
  marked.events.stream.subscribe(undefined, { onData })
  // @ts-expect-error then there are no markers to wait for
  marked.events.stream.subscribe({ markers: false }, { onData })
  // @ts-expect-error it may be false
  marked.events.stream.subscribe({ markers: flag }, { onData })

  // What comes.
  // @ts-expect-error the event is in data
  stream.subscribe({}, { onData: (value) => value.type })
  // @ts-expect-error no such field of an event
  stream.subscribe({}, { onData: ({ data }) => data.colour })
  // @ts-expect-error id is a text
  stream.subscribe({}, { onData: ({ id }) => id.toFixed() })
  // @ts-expect-error there are no markers
  stream.subscribe({}, { onData: (value) => value.caughtUp })
  // @ts-expect-error it may be a marker
  marked.events.stream.subscribe({ markers: true }, { onData: (value) => value.data })
  // @ts-expect-error it may be a marker
  marked.events.stream.subscribe({ markers: true }, { onData: ({ id }) => id })
  // @ts-expect-error it may be a value
  marked.events.stream.subscribe({ markers: true }, { onData: (value) => value.cursor })
  // @ts-expect-error what has an id is no marker
  marked.events.stream.subscribe({ markers: true }, { onData: (value) => 'id' in value && value.cursor })
}

// @ts-expect-error no such option
export type Misspelt = AppRouter<{ marker: true }>
// @ts-expect-error an option is a boolean
export type Mistyped = AppRouter<{ markers: 'yes' }>
