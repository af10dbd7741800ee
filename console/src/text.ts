import { audit } from './text/audit'
import { compose } from './text/compose'
import { erase } from './text/erase'
import { event, metadata, verify } from './text/event'
import { events, filter, histogram, live, saved, columns, exporting } from './text/events'
import { inbox } from './text/inbox'
import { keys } from './text/keys'
import { ledger } from './text/ledger'
import { operate } from './text/operate'
import { procedures } from './text/procedures'
import { trace } from './text/trace'
import { webhooks } from './text/webhooks'

/** Every sentence and word of the console, in English; those of the screens are in `text/`. */
export const text = {
  product: 'Synap Events',
  skip: 'Skip to the content',
  nav: 'Screens',
  theme: { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' },
  workspace: 'Workspace',
  close: 'Close',
  cancel: 'Cancel',
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'Your browser did not copy it. Select the text and copy it yourself.',
  help: 'Keyboard',
  more: 'More',
  none: '—',
  showMore: (count: string) => `Show ${count} more`,
  showAll: (size: string) => `Show all (${size})`,

  signIn: {
    title: 'Sign in',
    lead: 'Paste an API key. This tab remembers it until you sign out or close the tab.',
    key: 'API key',
    hint: 'It begins with sk_. On the server, the command synap console prints a link that signs in.',
    submit: 'Sign in',
    malformed: 'A key has the form sk_<id>_<secret>, without spaces.',
    refused: 'The server does not accept this key. It may have expired or been revoked.',
    out: 'Sign out',
    outTemporary: 'Sign out and end this key',
    endedTitle: 'Your key has ended',
    ended: 'It expired or was revoked. Paste another key to go on where you were.',
    expires: (when: string) => `Expires ${when}`,
    never: 'Does not expire',
    readsOwn: 'This key shows only the events of its own user.',
    user: 'User',
    keyId: 'Key',
    scopes: 'Scopes',
    account: 'Your key',
  },

  states: {
    loading: 'Loading…',
    slow: 'The server takes longer than usual…',
    offline: 'No answer from the server. Trying again…',
    busy: 'The server cannot answer now. Trying again…',
    failed: 'That did not work',
    forbidden: 'Your key may not do this',
    missing: 'Not found',
    retry: 'Try again',
    notHere: 'There is no such page.',
    workspaceMissing: (name: string) => `Your key has no workspace “${name}”.`,
    toEvents: 'Go to the first screen',
  },

  time: {
    now: 'now',
    utc: 'UTC',
    zone: (zone: string) => `Times are in your zone, ${zone}.`,
  },

  keyboard: {
    title: 'Keyboard',
    keys: [
      ['/', 'Filter'],
      ['j', 'Next'],
      ['k', 'Previous'],
      ['→ ←', 'Through the values of a row'],
      ['Enter', 'Open, or filter by the value'],
      ['x', 'Exclude the value'],
      ['Esc', 'Back'],
      ['?', 'This list'],
    ] as const,
  },

  tree: {
    members: (shown: string, count: number) => `${shown} ${count === 1 ? 'member' : 'members'}`,
    items: (shown: string, count: number) => `${shown} ${count === 1 ? 'item' : 'items'}`,
    pick: 'Click to filter by this value. Hold Alt to exclude it.',
  },

  once: {
    warning: 'Copy it now. Nobody can show it again.',
    done: 'I have copied it',
  },

  screens: {
    events: 'Events',
    trace: 'Trace',
  },

  events,
  filter,
  histogram,
  live,
  saved,
  columns,
  export: exporting,
  event,
  metadata,
  verify,
  trace,
  inbox,
  webhooks,
  keys,
  audit,
  operate,
  compose,
  procedures,
  erase,
  ledger,
}
