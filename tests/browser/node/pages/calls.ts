// A query, a mutation and a stream: what a page loads for them is measured.
import { createSynap } from '@synap/client'
import type { AppRouter } from './contract'

const api = createSynap<AppRouter>({ url: location.origin, token: () => location.hash.slice(1) })

await api.events.log.mutate({ type: 'note.created', data: {} })
const { events } = await api.events.page.query({ limit: 20 })
api.events.stream.subscribe({ start: events[0]?.id ?? 'beginning' }, { onData: ({ data }) => console.log(data.seq) })
