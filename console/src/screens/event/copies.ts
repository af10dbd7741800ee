import type { SynapEvent } from '../../contract'
import * as eventSaid from '../../text/event'

const words = eventSaid.copies

/** What can be copied of an event, by name. */
export function copies(event: SynapEvent, workspace: string): [string, string][] {
  const trpc = new URL('trpc', location.href).href.replace(/[?#].*$/, '')
  const curl = [
    `curl -sS -G '${trpc}/events.get'`,
    `-H "authorization: Bearer $TOKEN"`,
    `-H 'x-workspace-id: ${workspace}'`,
    `--data-urlencode 'input={"eventId":"${event.id}"}'`,
  ]
  return [
    [words.id, event.id],
    [words.hash, event.hash],
    [words.link, location.href],
    [words.json, JSON.stringify(event, null, 2)],
    [words.curl, curl.join(' \\\n  ')],
    [words.typescript, `const event = await api.events.get.query({ eventId: '${event.id}' })`],
  ]
}
