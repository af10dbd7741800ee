// Calls a server by the client that `openapi-generator` made from its document. Usage: fetch.js URL TOKEN.
import * as made from './made/index.js'

const [basePath, token] = process.argv.slice(2)
const configuration = new made.Configuration({ basePath: basePath ?? '', accessToken: token ?? '' })
const publish = new made.PublishApi(configuration)
const trpc = new made.TrpcEventsApi(configuration)
const browse = new made.BrowseApi(configuration)

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`)
}

const event: made.LogEvent = { type: 'made.fetch.logged', data: { score: 72 }, metadata: { ai: { agent: 'planner' } } }
const logged = (await trpc.eventsLog({ logEvent: event })).result.data

const filter: made.EventFilter = { type: { startsWith: 'made.fetch.' }, source: { _in: ['api'] }, 'data.score': { gte: 70 } }
const found = (await trpc.eventsList({ listEvents: { filter, limit: 1 } })).result.data
same(found.map((each) => each.id), [logged.id])
const none = { ...filter, 'data.score': { gt: 72 } }
same((await trpc.eventsList({ listEvents: { filter: none } })).result.data, [])

const published = await publish.publishPublish({ publishEvent: { type: 'made.fetch.published', source: 'ci', data: { score: 72 } } })
const page = await publish.publishQuery({ type: 'made.fetch.*', limit: 1 })
same(page.events.map((each) => each.eventId), [published.eventId])

class CloudEvents extends made.PublishApi {
  async send(cloudEvent: made.CloudEvent): Promise<unknown> {
    const headers = { 'Content-Type': 'application/cloudevents+json', Authorization: `Bearer ${token}` }
    const body = made.CloudEventToJSON(cloudEvent)
    return (await this.request({ path: '/v1/events', method: 'POST', headers, body })).json()
  }
}
const id = crypto.randomUUID()
await new CloudEvents(configuration).send({ specversion: '1.0', id, source: 'ci', type: 'made.fetch.cloud', data: ['text', 1, null] })
const clouds = (await trpc.eventsList({ listEvents: { type: 'made.fetch.cloud', limit: 1 } })).result.data
same(clouds.map((each) => each.producer), ['ci'])

const refused = await browse.browseEvent({ eventId: 'nosuch' }).then(() => undefined, (error: unknown) => error)
if (!(refused instanceof made.ResponseError) || refused.response.status !== 404) throw new Error(String(refused))
same(made.RefusalFromJSON(await refused.response.json()).error.code, 'not_found')

// @ts-expect-error: an event has a type
void (() => publish.publishPublish({ publishEvent: { source: 'ci', data: {} } }))
