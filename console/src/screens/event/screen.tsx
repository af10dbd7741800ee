import { useEffect, useMemo, useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { Icon } from '../../components/icon'
import { Menu } from '../../components/menu'
import { LoadNotice } from '../../components/states'
import { Tree, type Pick } from '../../components/tree'
import { Visible } from '../../components/visible'
import type { SynapEvent } from '../../contract'
import { useHotkeys } from '../../hotkeys'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { go, to, useRoute } from '../../router'
import { bytesOf } from '../../shown'
import { words as text } from '../../text/common'
import * as said from '../../text/event'
import { words } from '../../text/event'
import { save } from '../events/export'
import { lastList } from '../events/list'
import { picked } from '../events/view'
import { ChainCard, intentOf } from '../inbox/chain'
import { VerifiedBadge } from './badge'
import { copies } from './copies'
import { Facts } from './facts'
import { MetadataCards } from './metadata'
import { ReceiptButton } from './receipt'

/** Above this a payload is offered as a file. */
const LARGE = 256_000

/** One event, whole. */
export function EventScreen() {
  const { api, workspace } = useAccess()
  const { rest } = useRoute()
  const id = rest[0] ?? ''
  const load = useLoad(`${workspace} ${id}`, (signal) => api.events.get.query({ eventId: id }, { signal }))
  const event = load.loading ? undefined : load.value
  const walk = useNeighbours(event)
  const list = lastList().address || to(['events'])
  useHotkeys({ j: () => walk(1), k: () => walk(-1), Escape: () => go(list), t: () => event && go(to(['trace', event.id])) })
  useEffect(() => document.getElementById('content')?.scrollTo({ top: 0 }), [id])
  return (
    <div class="page event">
      <nav class="page-head" aria-label={words.way}>
        <a class="button" href={list}>
          {words.back}
        </a>
        <button type="button" class="button" onClick={() => walk(-1)}>
          <Icon name="up" />
          {words.newer}
        </button>
        <button type="button" class="button" onClick={() => walk(1)}>
          <Icon name="down" />
          {words.older}
        </button>
      </nav>
      <LoadNotice load={load} />
      {event && <Whole key={event.hash} event={event} />}
    </div>
  )
}

function Whole({ event }: { event: SynapEvent }) {
  const { api, workspace } = useAccess()
  const { data, metadata } = event
  const hasKinds = metadata !== undefined && Object.keys(metadata).some((name) => name !== 'ai')
  const kinds = useLoad(hasKinds ? 'kinds' : undefined, (signal) => api.metadata.kinds.query(undefined, { signal }))
  const onPick: Pick = (path, value, exclude) =>
    go(to(['events'], { filter: JSON.stringify(picked({}, path, value, exclude)) }))
  return (
    <>
      <header class="page-head">
        <h1>
          <Visible>{event.type}</Visible>
        </h1>
        <VerifiedBadge event={event} />
        <div class="actions">
          <a class="button" href={to(['trace', event.id])}>
            <Icon name="trace" />
            {words.trace}
          </a>
          <ReceiptButton eventId={event.id} />
          <Menu label={text.copy} icon="copy">
            {copies(event, workspace).map(([name, value]) => (
              <CopyButton key={name} name={name} label={name} value={value} />
            ))}
          </Menu>
        </div>
      </header>
      {event.erased && (
        <p class="notice warn erased-notice">
          <Icon name="warning" />
          <span>
            <strong>{words.erasedTitle}</strong> {words.erasedSaid}
          </span>
        </p>
      )}
      <div class="event-columns">
        <Facts event={event} onPick={onPick} />
        <div class="event-content">
          {intentOf(event) && <ChainCard event={event} />}
          {!event.erased && <Payload name={words.data} value={data} path="data" file={`${event.id}.json`} onPick={onPick} />}
          {metadata && <MetadataCards metadata={metadata} kinds={kinds.value ?? []} onPick={onPick} />}
        </div>
      </div>
    </>
  )
}

/** JSON as a tree or raw. What is large is a file first, and a folded tree if that is wanted. */
function Payload({ name, value, path, file, onPick }: { name: string; value: object; path: string; file: string; onPick: Pick }) {
  const [raw, setRaw] = useState(false)
  const [wanted, setWanted] = useState(false)
  const written = useMemo(() => JSON.stringify(value, null, 2), [value])
  const isLarge = written.length > LARGE
  const download = () => save(new Blob([written], { type: 'application/json' }), file)
  return (
    <section class="card" aria-label={name}>
      <header class="page-head">
        <h2>{name}</h2>
        <span class="hint">{bytesOf(written.length)}</span>
        <div class="actions">
          {!isLarge && (
            <>
              <button type="button" class="button" aria-pressed={!raw} onClick={() => setRaw(false)}>
                {words.tree}
              </button>
              <button type="button" class="button" aria-pressed={raw} onClick={() => setRaw(true)}>
                {words.raw}
              </button>
              <CopyButton name={name} value={written} />
            </>
          )}
          <button type="button" class="button" onClick={download}>
            <Icon name="download" />
            {words.download}
          </button>
        </div>
      </header>
      {isLarge && !wanted ? (
        <p class="notice">
          {said.large(bytesOf(written.length))}{' '}
          <button type="button" class="button" onClick={() => setWanted(true)}>
            {words.showTree}
          </button>
        </p>
      ) : raw && !isLarge ? (
        <pre tabindex={0}>
          <Visible multiline>{written}</Visible>
        </pre>
      ) : (
        <Tree value={value} name={name} path={path} onPick={onPick} />
      )}
    </section>
  )
}

/** The next and the previous event: those of the list that a person came from, else those of the log. */
function useNeighbours(event: SynapEvent | undefined): (step: 1 | -1) => void {
  const { api } = useAccess()
  return (step) => {
    if (!event) return
    const { ids } = lastList()
    const place = ids.indexOf(event.id)
    const known = place < 0 ? undefined : ids[place + step]
    if (known) return go(to(['events', known]), 'replace')
    const filter = { seq: event.seq - step }
    if (filter.seq < 0) return
    api.events.list.query({ filter, limit: 1 }).then(
      ([found]) => found && go(to(['events', found.id]), 'replace'),
      () => undefined, // the event that is shown stays
    )
  }
}
