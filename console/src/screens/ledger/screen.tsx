import type { ComponentChildren } from 'preact'
import { CopyButton } from '../../components/copy'
import { Fact } from '../../components/fact'
import { Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { LedgerNode, SigningKey } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { numberOf } from '../../shown'
import { words as text } from '../../text/common'
import * as said from '../../text/ledger'
import { words } from '../../text/ledger'
import { Bundle, Consistency, Proof } from './forms'

/** Who signs the log, what it signed, and whether it holds: judged by this browser. */
export function LedgerScreen() {
  return (
    <div class="page">
      <h1>{words.title}</h1>
      <div class="pair">
        <Node />
        <Checkpoint />
      </div>
      <div class="pair">
        <Consistency />
        <Proof />
      </div>
      <Bundle />
    </div>
  )
}

export function Card({ title, lead, children }: { title: string; lead: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      <p class="quiet-text">{lead}</p>
      {children}
    </section>
  )
}

function Node() {
  const { api } = useAccess()
  const load = useLoad('node', (signal) => api.ledger.node.query(undefined, { signal }))
  return (
    <Card title={words.node} lead={words.nodeLead}>
      <Loaded load={load}>{(node) => <Identity of={node} />}</Loaded>
    </Card>
  )
}

function Identity({ of }: { of: LedgerNode }) {
  return (
    <>
      <dl class="facts">
        {[
          [words.did, of.node_did],
          [words.origin, of.origin],
          [words.publicKey, of.public_identity],
        ].map(([name = '', value = '']) => (
          <Fact key={name} name={name} class="mono">
            <Visible>{value}</Visible> <CopyButton name={name} value={value} />
          </Fact>
        ))}
      </dl>
      <Table caption={words.keys} columns={COLUMNS} rows={[...of.keys].reverse()} keyOf={({ kid }) => kid} current={of.kid} />
    </>
  )
}

const COLUMNS: Column<SigningKey>[] = [
  { id: 'kid', name: words.keys, cell: ({ kid }) => <code title={kid}>{kid.slice(-16)}</code> },
  { id: 'since', name: words.since, kind: 'time', cell: ({ rotation }) => (rotation ? <Time at={rotation.rotated_at} /> : words.first) },
  {
    id: 'signed',
    name: words.succession,
    cell: ({ rotation }) => (rotation ? (rotation.signature_old ? words.bothSigned : <span class="badge warn">{words.oldLost}</span>) : text.none),
  },
]

function Checkpoint() {
  const { api, workspace } = useAccess()
  const load = useLoad(workspace, (signal) => api.ledger.checkpoint.query(undefined, { signal }))
  return (
    <Card title={words.checkpoint} lead={words.checkpointLead}>
      <Loaded load={load}>
        {({ note, size, vkey }) => (
          <>
            <p>{said.size(numberOf(size))}</p>
            <pre class="answer">
              <Visible multiline>{note}</Visible>
            </pre>
            <div class="actions">
              <CopyButton name={words.note} label={words.copyNote} value={note} />
              <CopyButton name={words.vkey} label={words.copyVkey} value={vkey} />
              <button type="button" class="button" onClick={load.reload}>
                {words.renew}
              </button>
            </div>
          </>
        )}
      </Loaded>
    </Card>
  )
}
