import { useEffect, useRef, useState } from 'preact/hooks'
import { Time } from '../../components/time'
import type { TracedEvent } from '../../contract'
import { durationOf } from '../../shown'
import { words as traceWords } from '../../text/trace'
import { visible } from '../../visible'
import { microsecondsOf, type Dot, type Lanes } from './model'

const LANE = 34
const PAD = 14
const COLOURS = 8

interface LanesProps {
  lanes: Lanes
  current: string
  /** The event that was asked for. */
  asked: string
  onMove: (event: TracedEvent) => void
  onOpen: (event: TracedEvent) => void
}

/** The events over time, a lane for each agent or source, with a line from each cause to its effect. */
export function LanesView({ lanes, current, asked, onMove, onOpen }: LanesProps) {
  const { names, dots, from, to } = lanes
  const [width, box] = useWidth()
  const height = names.length * LANE
  const x = ({ place }: Dot) => PAD + place * Math.max(1, width - 2 * PAD)
  const y = ({ lane }: Dot) => lane * LANE + LANE / 2
  const byId = new Map(dots.map((dot) => [dot.event.id, dot]))
  const here = dots.findIndex(({ event }) => event.id === current)
  const move = (press: KeyboardEvent) => {
    const next = nextDot(dots, here, press.key)
    if (press.key === 'Enter' && dots[here]) onOpen(dots[here].event)
    else if (next) onMove(next.event)
    else return
    press.preventDefault()
    press.stopPropagation()
  }
  return (
    <div class="lanes">
      <ul class="lane-names" aria-label={traceWords.lanes}>
        {names.map((name, place) => (
          <li key={name} class={`lane-${place % COLOURS}`}>
            {visible(name)}
          </li>
        ))}
      </ul>
      <div class="lane-box" ref={box} tabindex={0} role="application" aria-label={traceWords.lanesSaid} onKeyDown={move}>
        <svg width={width} height={height} aria-hidden="true">
          {names.map((name, place) => (
            <line key={name} class="lane-line" x1={0} x2={width} y1={place * LANE + LANE / 2} y2={place * LANE + LANE / 2} />
          ))}
          {dots.map((dot) => {
            const cause = byId.get(dot.event.causationId?.toLowerCase() ?? '')
            if (!cause) return null
            const middle = (x(cause) + x(dot)) / 2
            return (
              <path
                key={dot.event.id}
                class="lane-link"
                d={`M${x(cause)} ${y(cause)}C${middle} ${y(cause)} ${middle} ${y(dot)} ${x(dot)} ${y(dot)}`}
              />
            )
          })}
          {dots.map((dot) => (
            <circle
              key={dot.event.id}
              class={`lane-dot lane-${dot.lane % COLOURS} ${dot.event.id === current ? 'current' : ''} ${dot.event.id === asked ? 'asked' : ''}`}
              cx={x(dot)}
              cy={y(dot)}
              r={dot.event.id === current ? 7 : 5}
              onClick={() => onMove(dot.event)}
              onDblClick={() => onOpen(dot.event)}
            >
              <title>{`${visible(dot.event.type)}\n${dot.event.timestamp}`}</title>
            </circle>
          ))}
        </svg>
        <p class="hidden" role="status">
          {here >= 0 && visible(dots[here]?.event.type ?? '')}
        </p>
      </div>
      <div class="lane-axis">
        <Time at={from} />
        <span>{durationOf((microsecondsOf(to) - microsecondsOf(from)) / 1_000)}</span>
        <Time at={to} />
      </div>
    </div>
  )
}

/** Left and right go along time, up and down to the nearest event of the next lane that has one. */
function nextDot(dots: Dot[], here: number, key: string): Dot | undefined {
  const from = dots[here]
  if (!from) return key.startsWith('Arrow') ? dots[0] : undefined
  if (key === 'ArrowLeft') return dots[here - 1]
  if (key === 'ArrowRight') return dots[here + 1]
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return undefined
  const beyond = dots.filter(({ lane }) => (key === 'ArrowUp' ? lane < from.lane : lane > from.lane))
  const distance = (dot: Dot) => Math.abs(dot.lane - from.lane) * 1_000 + Math.abs(dot.place - from.place)
  return beyond.toSorted((one, other) => distance(one) - distance(other))[0]
}

function useWidth(): [number, { current: HTMLDivElement | null }] {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(600)
  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])
  return [width, box]
}
