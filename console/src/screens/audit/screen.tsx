import { Empty, Loaded } from '../../components/states'
import { Choice, DraftField, TextField } from '../../components/field'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { AuditEntry, AuditPage } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { changeQuery, to, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import { numberOf } from '../../shown'
import * as said from '../../text/audit'
import { words } from '../../text/audit'
import { words as keysWords } from '../../text/keys'

const PAGE = 1_000
const DAY_MS = 86_400_000
const DAYS: Record<string, number> = { day: 1, week: 7, month: 30 }
const ACTIONS = [
  'audit.read',
  'events.imported',
  'key.created',
  'key.revoked',
  'key.rotated',
  'subscription.created',
  'subscription.deleted',
  'subscription.disabled',
  'subscription.paused',
  'subscription.replayed',
  'subscription.resumed',
  'subscription.secret_rotated',
  'subscription.tested',
  'workspace.created',
]

/** Who did what and when: the administrative acts of the workspace, the newest first. */
export function AuditScreen() {
  const { api, workspace } = useAccess()
  const { query } = useRoute()
  const within = query.get('within') ?? 'week'
  const action = query.get('action') ?? ''
  const who = query.get('who') ?? ''
  const until = query.get('until') ?? undefined
  const load = useLoad(JSON.stringify([workspace, within, action, until]), (signal) =>
    api.audit.list.query({ since: sinceOf(within), until, action: action || undefined, limit: PAGE, direction: 'backward' }, { signal }),
  )
  useRowKeys()
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
      </header>
      <div class="filter-grid">
        <DraftField
          label={words.action}
          paths={['action']}
          failure={load.failure}
          data-filter
          list="audit-actions"
          value={action}
          placeholder={words.any}
          onSet={(text) => changeQuery({ action: text.trim(), until: undefined })}
        />
        <datalist id="audit-actions">
          {ACTIONS.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <TextField label={words.who} placeholder={words.any} value={who} onText={(text) => changeQuery({ who: text }, 'replace')} />
        <Choice label={words.within} value={within} options={Object.entries(said.ranges)} onChoose={(range) => changeQuery({ within: range, until: undefined })} />
      </div>
      <Loaded load={load}>{(page) => <Entries page={page} who={who.trim()} until={until} />}</Loaded>
    </div>
  )
}

function Entries({ page, who, until }: { page: AuditPage; who: string; until: string | undefined }) {
  const { key } = useAccess()
  const entries = page.entries.filter(({ actor }) => actor.includes(who)).reverse()
  const older = page.total > page.entries.length ? page.entries[0]?.timestamp : undefined
  return (
    <>
      <p class="quiet-text" role="status">
        {who ? said.found(numberOf(entries.length), numberOf(page.entries.length)) : said.count(numberOf(page.total))}
      </p>
      {entries.length === 0 ? (
        <Empty title={words.none}>
          <p>{words.noneMore}</p>
        </Empty>
      ) : (
        <Table caption={words.title} columns={columns(key.id)} rows={entries} keyOf={({ hash }) => hash} />
      )}
      {(older || until) && (
        <div class="actions">
          <button type="button" class="button" disabled={!until} onClick={() => changeQuery({ until: undefined })}>
            {words.newest}
          </button>
          <button type="button" class="button" disabled={!older} onClick={() => changeQuery({ until: older })}>
            {words.older}
          </button>
        </div>
      )}
    </>
  )
}

const columns = (own: string): Column<AuditEntry>[] => [
  { id: 'time', name: words.when, kind: 'time', cell: ({ timestamp }) => <Time at={timestamp} /> },
  { id: 'action', name: words.action, cell: ({ action }) => <a href={to(['audit'], { action, within: 'all' })}>{action}</a> },
  {
    id: 'who',
    name: words.who,
    cell: ({ actor }) => (
      <>
        <code title={actor}>{actor.startsWith('did:') ? words.node : actor}</code> {actor === own && <span class="badge good">{keysWords.own}</span>}
      </>
    ),
  },
  { id: 'what', name: words.what, kind: 'wide', cell: ({ detail }) => <Detail of={detail} /> },
  { id: 'seq', name: words.place, kind: 'number', cell: ({ seq, hash }) => <span title={hash}>{numberOf(seq)}</span> },
]

function Detail({ of }: { of: Record<string, unknown> }) {
  return (
    <span class="pairs">
      {Object.entries(of).map(([name, value]) => (
        <span key={name}>
          <span class="quiet-text">
            <Visible>{name}</Visible>
          </span>{' '}
          <Visible>{typeof value === 'string' ? value : JSON.stringify(value)}</Visible>
        </span>
      ))}
    </span>
  )
}

function sinceOf(within: string): string | undefined {
  const days = DAYS[within]
  return days ? new Date(Date.now() - days * DAY_MS).toISOString() : undefined
}
