import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Loaded } from '../../components/states'
import { Time } from '../../components/time'
import type { CurrentMetrics, InstallFigures, ProcessFigures } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { bytesOf, durationOf, numberOf } from '../../shown'
import { words as text } from '../../text/common'
import * as said from '../../text/operate'
import { words } from '../../text/operate'
import { Line } from './line'

const REFRESH_MS = 5_000
const KEPT = 120

/** Appended events a second, at a time. */
interface Rate {
  at: number
  value: number
}

/** The numbers of the server as they are now, and the rate since this page was opened. */
export function OperateScreen() {
  const { api, workspace } = useAccess()
  const load = useLoad(workspace, (signal) => api.metrics.current.query(undefined, { signal }))
  const [isPaused, setPaused] = useState(false)
  useRefresh(load, isPaused ? undefined : REFRESH_MS)
  const rates = useRates(load.value)
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        {load.value && (
          <span class="quiet-text">
            {words.at} <Time at={load.value.at} />
          </span>
        )}
        <button type="button" class="button push" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {words.pause}
        </button>
      </header>
      <Loaded load={load}>
        {(now) => (
          <>
            <Log now={now} rates={rates} />
            <Processes of={now.processes} />
            {now.install ? <Install of={now.install} /> : <p class="notice warn">{words.noDatabase}</p>}
          </>
        )}
      </Loaded>
    </div>
  )
}

/** The differences between what was appended at two moments. Processes that start again begin at 0. */
function useRates(now: CurrentMetrics | undefined): Rate[] {
  const [state, setState] = useState<{ before?: CurrentMetrics; rates: Rate[] }>({ rates: [] })
  useEffect(() => {
    if (!now) return
    setState(({ before, rates }) => {
      const at = new Date(now.at).getTime()
      const seconds = before ? (at - new Date(before.at).getTime()) / 1_000 : 0
      const appended = before ? now.processes.eventsAppended - before.processes.eventsAppended : 0
      const rate = seconds > 0 && appended >= 0 ? [{ at, value: appended / seconds }] : []
      return { before: now, rates: [...rates, ...rate].slice(-KEPT) }
    })
  }, [now])
  return state.rates
}

function Log({ now, rates }: { now: CurrentMetrics; rates: Rate[] }) {
  const { eventsAppended, queuedEvents, queuedBytes } = now.processes
  const latest = rates.at(-1)
  return (
    <Group title={words.log}>
      <Figure name={words.rate} value={latest ? said.perSecond(latest.value.toFixed(1)) : text.none}>
        <Line values={rates.map(({ value }) => value)} label={said.rateLine(rates.length)} />
      </Figure>
      <Figure name={words.lastMinute} value={numberOf(now.eventsLastMinute)} means={words.lastMinuteMeans} />
      <Figure name={words.appended} value={numberOf(eventsAppended)} means={words.appendedMeans} />
      <Figure name={words.queue} value={numberOf(queuedEvents)} means={said.queueMeans(bytesOf(queuedBytes))} isBad={queuedEvents > 1_000} />
    </Group>
  )
}

function Processes({ of }: { of: ProcessFigures }) {
  return (
    <Group title={words.processes}>
      <Figure name={words.count} value={numberOf(of.count)} />
      <Figure name={words.streams} value={numberOf(of.streams)} means={said.streamsMeans(numberOf(of.liveConnections))} />
      <Figure name={words.feedLag} value={said.events(of.feedLagEvents)} means={words.feedLagMeans} isBad={of.feedLagEvents > 1_000} />
      <Figure name={words.loopLag} value={durationOf(of.eventLoopLagSeconds * 1_000)} means={words.loopLagMeans} isBad={of.eventLoopLagSeconds > 0.5} />
      <Figure
        name={words.pool}
        value={`${of.connectionsUsed} / ${of.connectionsUsed + of.connectionsIdle}`}
        means={said.poolMeans(of.connectionsAwaited)}
        isBad={of.connectionsAwaited > 0}
      />
    </Group>
  )
}

function Install({ of }: { of: InstallFigures }) {
  const { active, paused, disabled } = of.subscriptions
  return (
    <>
      <Group title={words.webhooks}>
        <Figure name={words.hooks} value={numberOf(active)} means={said.hooksMeans(paused, disabled)} isBad={disabled > 0} />
        <Figure name={words.pending} value={numberOf(of.deliveriesPending)} means={words.pendingMeans} />
        <Figure name={words.overdue} value={durationOf(of.deliveryOverdueSeconds * 1_000)} means={words.overdueMeans} isBad={of.deliveryOverdueSeconds > 60} />
        <Figure name={words.hookLag} value={said.events(of.subscriptionLagEvents)} means={words.hookLagMeans} isBad={of.subscriptionLagEvents > 1_000} />
      </Group>
      <Group title={words.database}>
        <Figure name={words.workspaces} value={numberOf(of.workspaces)} />
        <Figure name={words.stored} value={numberOf(of.events)} means={words.storedMeans} />
        <Figure name={words.size} value={bytesOf(of.databaseBytes)} />
        <Figure
          name={words.connections}
          value={`${of.databaseConnections} / ${of.databaseMaxConnections}`}
          means={words.connectionsMeans}
          isBad={of.databaseConnections > 0.9 * of.databaseMaxConnections}
        />
      </Group>
    </>
  )
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="group" aria-label={title}>
      <h2>{title}</h2>
      <dl class="figures">{children}</dl>
    </section>
  )
}

interface FigureProps {
  name: string
  value: string
  means?: string
  /** Somebody should look at it. */
  isBad?: boolean
  children?: ComponentChildren
}

function Figure({ name, value, means, isBad = false, children }: FigureProps) {
  return (
    <div class={isBad ? 'figure bad' : 'figure'}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong> {isBad && <span class="badge bad">{words.look}</span>}
        {means && <p class="hint">{means}</p>}
        {children}
      </dd>
    </div>
  )
}
