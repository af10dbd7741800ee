import type { ComponentType } from 'preact'
import type { Scope } from '../api'
import type { IconName } from '../components/icon'
import type { CurrentKey } from '../contract'
import { may } from '../key'
import { words as auditWords } from '../text/audit'
import { words as composeWords } from '../text/compose'
import { words as eraseWords } from '../text/erase'
import { words as eventWords } from '../text/event'
import { words as eventsWords } from '../text/events'
import { words as inboxWords } from '../text/inbox'
import { words as keysWords } from '../text/keys'
import { words as ledgerWords } from '../text/ledger'
import { words as operateWords } from '../text/operate'
import { words as proceduresWords } from '../text/procedures'
import { words as webhooksWords } from '../text/webhooks'
import { ApiScreen } from './api/screen'
import { AuditScreen } from './audit/screen'
import { ComposeScreen } from './compose/screen'
import { EraseScreen } from './erase/screen'
import { EventScreen } from './event/screen'
import { EventsScreen } from './events/screen'
import { IntentScreen } from './inbox/intent'
import { InboxScreen } from './inbox/screen'
import { KeysScreen } from './keys/screen'
import { LedgerScreen } from './ledger/screen'
import { OperateScreen } from './operate/screen'
import { TraceScreen } from './trace/screen'
import { WebhookScreen, WebhooksScreen } from './webhooks/screen'

/** A screen, at `#/<workspace>/<path>`. A key without any of its scopes does not see it. */
export interface Screen {
  path: string
  name: string
  icon: IconName
  /** None: any key sees it. */
  scopes: Scope[]
  /** What is shown, and with more segments behind the path, what is shown of that. */
  component: ComponentType
  detail?: ComponentType
  /** It is reached from others, and not in the navigation. */
  isInner?: boolean
  /** A scope without which only its details are there. */
  listNeeds?: Scope
}

/** Whether a key has one of the scopes, if there are any. */
export function mayOpen(key: CurrentKey, scopes: Scope[]): boolean {
  return scopes.length === 0 || may(key, ...scopes)
}

/** Whether the navigation has the screen: some are reached only with a link to a detail. */
export function isListed(key: CurrentKey, { scopes, isInner, listNeeds }: Screen): boolean {
  return !isInner && mayOpen(key, scopes) && (!listNeeds || may(key, listNeeds))
}

export const SCREENS: Screen[] = [
  {
    path: 'events',
    name: eventsWords.title,
    icon: 'events',
    scopes: ['events:read', 'events:read-own'],
    component: EventsScreen,
    detail: EventScreen,
  },
  {
    path: 'trace',
    name: eventWords.trace,
    icon: 'trace',
    scopes: ['events:read', 'events:read-own'],
    component: EventsScreen,
    detail: TraceScreen,
    isInner: true,
  },
  {
    path: 'inbox',
    name: inboxWords.title,
    icon: 'inbox',
    scopes: ['events:read', 'events:read-own'],
    component: InboxScreen,
    detail: IntentScreen,
    listNeeds: 'intents:decide',
  },
  { path: 'compose', name: composeWords.title, icon: 'plus', scopes: ['events:write'], component: ComposeScreen },
  { path: 'webhooks', name: webhooksWords.title, icon: 'webhooks', scopes: ['subscriptions:manage'], component: WebhooksScreen, detail: WebhookScreen },
  { path: 'keys', name: keysWords.title, icon: 'keys', scopes: ['keys:manage'], component: KeysScreen },
  { path: 'audit', name: auditWords.title, icon: 'audit', scopes: ['audit:read'], component: AuditScreen },
  { path: 'ledger', name: ledgerWords.title, icon: 'ledger', scopes: ['ledger:read'], component: LedgerScreen },
  { path: 'operate', name: operateWords.title, icon: 'operate', scopes: ['audit:read'], component: OperateScreen },
  { path: 'api', name: proceduresWords.title, icon: 'more', scopes: [], component: ApiScreen },
  { path: 'erase', name: eraseWords.title, icon: 'cross', scopes: ['events:erase'], component: EraseScreen },
]
