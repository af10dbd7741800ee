// Follows the log and keeps the numbers of the events, in the order of its callbacks. Its key comes from `/key`.
import { createSynap, follow } from '@synap/client'
import type { AppRouter } from './contract'

const given = new URLSearchParams(location.hash.slice(1))

async function token(): Promise<string> {
  const answer = await fetch('/key', { cache: 'no-store' })
  if (!answer.ok) throw new Error(`no key: ${answer.status}`)
  return answer.text()
}

const api = createSynap<AppRouter>({
  url: given.get('url') ?? '',
  token,
  transport: given.get('transport') === 'ws' ? 'ws' : 'sse',
})

const seen: number[] = []
const states: string[] = []
Object.assign(window, { seen, states })

follow(
  api,
  { type: 'tail.*' },
  {
    from: 'beginning',
    onEvent: (event) => seen.push(Number(event.data['number'])),
    onState: (state, error) => states.push(error ? `${state}: ${error.message}` : state),
  },
)
