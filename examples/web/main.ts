// The page: two forms, a list and the state of the connection. What others wrote is only ever set as text.
import { type FollowState, newEventId } from '@synap/client'
import { TRPCClientError } from '@trpc/client'
import type { SynapEvent } from './contract'
import { type Api, connect, follow, logNote, notes } from './log'

const STATES: Record<FollowState, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost, trying again…',
  refused: 'Refused',
}
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

const server = byId('server', HTMLDetailsElement)
const serverName = byId('server-name', HTMLElement)
const connection = byId('connection', HTMLFormElement)
const url = byId('url', HTMLInputElement)
const token = byId('token', HTMLInputElement)
const state = byId('state', HTMLElement)
const form = byId('log', HTMLFormElement)
const text = byId('text', HTMLInputElement)
const send = byId('send', HTMLButtonElement)
const failure = byId('failure', HTMLElement)
const list = byId('notes', HTMLElement)
const empty = byId('empty', HTMLElement)
const older = byId('older', HTMLButtonElement)

let api: Api | undefined
let leaving = new AbortController()
let cursor: string | undefined
let unsent: { id: string; text: string } | undefined
const shown = new Set<string>()

/** Read the server and the token from the fragment, which browsers send nowhere, and follow that log. */
function start(): void {
  leaving.abort()
  leaving = new AbortController()
  const given = new URLSearchParams(location.hash.slice(1))
  url.value = given.get('url') ?? url.value
  token.value = given.get('token') ?? ''
  api = unsent = undefined
  shown.clear()
  list.replaceChildren()
  setCursor(undefined)
  say(failure, '')
  say(empty, 'Connect to a server to see its notes.')
  const address = serverAddress(url.value)
  server.open = !token.value || !address
  send.disabled = server.open
  if (!token.value || !address) {
    setState('idle', address ? 'Not connected' : 'The server must be a http:// or https:// address')
    return
  }
  serverName.textContent = new URL(address).host
  api = connect(address, token.value)
  say(empty, '')
  list.ariaBusy = 'true' // assistive technology does not read the list out, because it is not new
  const stop = follow(api, {
    listed(page) {
      page.events.forEach(show)
      setCursor(page.nextCursor)
      if (!shown.size) say(empty, 'No notes yet. The first one appears here, whoever logs it.')
      // Only after assistive technology has seen the notes come into a busy list.
      setTimeout(() => (list.ariaBusy = 'false'))
    },
    logged: show,
    state(now, reason) {
      setState(now, reason ?? STATES[now])
      if (now !== 'refused') return
      api = undefined
      server.open = send.disabled = true
    },
  })
  leaving.signal.addEventListener('abort', stop)
}

async function log(): Promise<void> {
  const wanted = text.value
  if (!api || !wanted.trim()) return
  const { signal } = leaving
  // The same text again, after a failure, is the same event: whichever attempt came through, it is logged once.
  if (unsent?.text !== wanted) unsent = { id: newEventId(), text: wanted }
  send.disabled = true
  say(failure, '')
  try {
    const event = await logNote(api, wanted, unsent.id)
    unsent = undefined
    if (text.value === wanted) text.value = ''
    if (!signal.aborted) show(event)
  } catch (error) {
    if (signal.aborted) return
    const answered = error instanceof TRPCClientError && error.data
    say(failure, answered ? error.message : 'The server cannot be reached. The note is still here: log it again.')
  } finally {
    send.disabled = !api
  }
}

async function showOlder(): Promise<void> {
  if (!api || !cursor) return
  const { signal } = leaving
  older.disabled = true
  list.ariaBusy = 'true'
  try {
    const page = await notes(api, cursor, signal)
    page.events.forEach(show)
    setCursor(page.nextCursor)
  } catch (error) {
    if (!signal.aborted) say(failure, `Older notes cannot be loaded now. ${(error as Error).message}`)
  } finally {
    older.disabled = false
    setTimeout(() => (list.ariaBusy = 'false'))
  }
}

/** Put a note into its place, newest first, unless it is there: one's own comes with the answer and with the stream. */
function show(event: SynapEvent): void {
  if (shown.has(event.id)) return
  shown.add(event.id)
  say(empty, '')
  const item = document.createElement('li')
  item.dataset['seq'] = String(event.seq)
  const time = document.createElement('time')
  time.dateTime = event.timestamp
  time.textContent = WHEN.format(new Date(event.timestamp))
  item.append(element('p', 'text', noteText(event)), element('p', 'about', `${event.userId} · #${event.seq} · `))
  item.lastElementChild?.append(time)
  const after = [...list.children].find((other) => Number((other as HTMLElement).dataset['seq']) < event.seq)
  list.insertBefore(item, after ?? null)
}

function noteText(event: SynapEvent): string {
  if (event.erased) return '(erased)'
  const written = event.data['text'] ?? event.data['title']
  return typeof written === 'string' ? written : JSON.stringify(event.data)
}

function setCursor(next: string | undefined): void {
  cursor = next
  older.hidden = next === undefined
}

function setState(name: FollowState | 'idle', said: string): void {
  state.dataset['state'] = name
  say(state, said)
}

/** The address without its last slash, if it is one. */
function serverAddress(given: string): string | undefined {
  if (!URL.canParse(given)) return undefined
  const { protocol, origin, pathname } = new URL(given)
  return /^https?:$/.test(protocol) ? (origin + pathname).replace(/\/+$/, '') : undefined
}

function element(name: string, className: string, content: string): HTMLElement {
  const made = document.createElement(name)
  made.className = className
  made.textContent = content
  return made
}

function say(where: HTMLElement, what: string): void {
  if (where.textContent !== what) where.textContent = what
}

function byId<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`)
  return found
}

connection.addEventListener('submit', (event) => {
  event.preventDefault()
  const kept = new URLSearchParams({ url: url.value.trim(), token: token.value.trim() })
  history.replaceState(null, '', `#${kept}`)
  start()
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  void log()
})
older.addEventListener('click', () => void showOlder())
addEventListener('hashchange', start)
start()
