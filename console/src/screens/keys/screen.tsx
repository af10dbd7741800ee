import { useState } from 'preact/hooks'
import { pageIn, Pager } from '../../components/pager'
import { Icon } from '../../components/icon'
import { Empty, Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { ApiKey, CurrentKey } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { changeQuery, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import * as said from '../../text/keys'
import { words as text } from '../../text/common'
import { words } from '../../text/keys'
import { NewKey } from './new-key'
import { mayRevoke, mayRotate, stateOf } from './rights'
import { RevokeKey, RotateKey } from './replace'

const PAGE = 100

type Open = { what: 'new' } | { what: 'rotate' | 'revoke'; key: ApiKey }

/** The keys of the workspaces that the caller's key has: who may call, for how long, and the end of it. */
export function KeysScreen() {
  const { api, key: own, workspace } = useAccess()
  const { query } = useRoute()
  const [open, setOpen] = useState<Open>()
  const includeEnded = query.has('ended')
  const page = pageIn(query)
  const load = useLoad(`${workspace} ${query}`, (signal) => api.keys.list.query({ includeEnded, ...page, limit: PAGE }, { signal }))
  useRowKeys({ n: () => setOpen({ what: 'new' }) })
  const close = () => {
    setOpen(undefined)
    load.reload()
  }
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        <label class="choice">
          <input
            type="checkbox"
            data-filter
            checked={includeEnded}
            onChange={() => changeQuery({ ended: includeEnded ? undefined : '1', cursor: undefined, direction: undefined })}
          />
          {words.showEnded}
        </label>
        <button type="button" class="button primary push" onClick={() => setOpen({ what: 'new' })}>
          <Icon name="plus" />
          {words.make}
        </button>
      </header>
      <Loaded load={load}>
        {(page) =>
          page.keys.length === 0 ? (
            <Empty title={words.none}>
              <p>{words.noneMore}</p>
            </Empty>
          ) : (
            <>
              <Table caption={words.title} columns={columns(own, setOpen)} rows={page.keys} keyOf={({ id }) => id} />
              <Pager page={page} back={words.older} on={words.newer} />
            </>
          )
        }
      </Loaded>
      {open?.what === 'new' && <NewKey onClose={close} />}
      {open?.what === 'rotate' && <RotateKey old={open.key} onClose={close} />}
      {open?.what === 'revoke' && <RevokeKey old={open.key} onClose={close} />}
    </div>
  )
}

function columns(own: CurrentKey, onOpen: (open: Open) => void): Column<ApiKey>[] {
  return [
    {
      id: 'id',
      name: words.id,
      cell: ({ id }) => (
        <>
          <code>{id}</code> {id === own.id && <span class="badge good">{words.own}</span>}
        </>
      ),
    },
    { id: 'state', name: words.state, cell: (key) => <State of={key} /> },
    { id: 'user', name: words.user, cell: ({ userId }) => <Visible>{userId}</Visible> },
    { id: 'scopes', name: words.scopes, kind: 'wide', cell: ({ scopes }) => <Tags values={scopes} all={words.everyScope} /> },
    { id: 'workspaces', name: words.workspaces, cell: ({ workspaces }) => <Tags values={workspaces} all={words.everyWorkspace} /> },
    { id: 'authors', name: words.authors, cell: (key) => <Authors of={key} /> },
    { id: 'created', name: words.created, cell: ({ createdAt }) => <Time at={createdAt} relative /> },
    { id: 'acts', name: <span class="hidden">{words.acts}</span>, kind: 'short', cell: (key) => <Acts of={key} own={own} onOpen={onOpen} /> },
  ]
}

function State({ of }: { of: ApiKey }) {
  const state = stateOf(of)
  if (state === 'revoked') return <span class="badge bad">{said.states.revoked}</span>
  if (!of.expiresAt) return <span class="quiet-text">{words.never}</span>
  if (state === 'expired') return <span class="badge">{said.states.expired}</span>
  return (
    <span>
      {words.ends} <Time at={of.expiresAt} relative />
    </span>
  )
}

function Tags({ values, all }: { values: string[]; all: string }) {
  if (values.includes('*')) return <span class="badge warn">{all}</span>
  return (
    <span class="tags">
      {values.map((value) => (
        <span key={value} class="badge">
          {value}
        </span>
      ))}
    </span>
  )
}

/** Whose signature an event of the key has to have, or may have. */
function Authors({ of: { authors = [], authorRequired = false } }: { of: ApiKey }) {
  if (authors.length === 0 && !authorRequired) return <span class="quiet-text">{text.none}</span>
  return (
    <span>
      <span class="quiet-text">{authors.length === 0 ? words.anyAuthor : authorRequired ? words.mustSign : words.maySign}</span>
      {authors.map((did) => (
        <code key={did} class="badge" title={did}>
          …{did.slice(-12)}
        </code>
      ))}
    </span>
  )
}

function Acts({ of, own, onOpen }: { of: ApiKey; own: CurrentKey; onOpen: (open: Open) => void }) {
  if (stateOf(of) !== 'valid') return null
  return (
    <span class="row-acts">
      {mayRotate(own, of) && (
        <button type="button" class="button small" aria-label={`${words.rotate} ${of.id}`} onClick={() => onOpen({ what: 'rotate', key: of })}>
          {words.rotate}
        </button>
      )}
      {mayRevoke(own, of) && (
        <button type="button" class="button small danger" aria-label={`${words.revoke} ${of.id}`} onClick={() => onOpen({ what: 'revoke', key: of })}>
          {words.revoke}
        </button>
      )}
    </span>
  )
}
