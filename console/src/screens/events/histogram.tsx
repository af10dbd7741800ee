import { useRef, useState } from 'preact/hooks'
import { LoadNotice } from '../../components/states'
import { Time } from '../../components/time'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { localOf, numberOf } from '../../shown'
import * as eventsSaid from '../../text/events'
import { words as eventsWords } from '../../text/events'
import * as filterSaid from '../../text/filter'
import * as histogramSaid from '../../text/histogram'
import { words as histogramWords } from '../../text/histogram'
import type { Wanted } from './view'

const BUCKETS = 80
const WIDTH = 800
const HEIGHT = 56
const LEAST_DRAG = 4
const REFRESH_MS = 5_000

interface HistogramProps {
  /** When it is another, the numbers are others. */
  id: string
  wanted: () => Wanted
  /** The log is followed: the numbers are too. */
  isLive: boolean
  onNarrow: (from: string, to: string) => void
}

interface Bar {
  from: string
  to: string
  count: number
}

/** How many events match, over time. Dragging narrows the range; a table has the same numbers. */
export function Histogram({ id, wanted, isLive, onNarrow }: HistogramProps) {
  const { api } = useAccess()
  const [asTable, setAsTable] = useState(false)
  const load = useLoad(id, (signal) => api.events.histogram.query({ ...wanted(), buckets: BUCKETS }, { signal }))
  useRefresh(load, isLive ? REFRESH_MS : undefined)
  const bars = load.value?.buckets ?? []
  return (
    <section class="histogram" aria-label={histogramWords.title} aria-busy={load.loading}>
      {load.failure ? <LoadNotice load={load} /> : <Bars bars={bars} onNarrow={onNarrow} />}
      {bars.length > 0 && (
        <div class="histogram-foot">
          <Time at={bars[0]?.from ?? ''} />
          <button type="button" class="button quiet" aria-expanded={asTable} onClick={() => setAsTable(!asTable)}>
            {histogramWords.table}
          </button>
          <Time at={bars.at(-1)?.to ?? ''} />
        </div>
      )}
      {asTable && <BarTable bars={bars.filter(({ count }) => count > 0)} onNarrow={onNarrow} />}
    </section>
  )
}

function Bars({ bars, onNarrow }: { bars: Bar[] } & Pick<HistogramProps, 'onNarrow'>) {
  const svg = useRef<SVGSVGElement>(null)
  const [drag, setDrag] = useState<[number, number]>()
  const most = Math.max(1, ...bars.map(({ count }) => count))
  const total = bars.reduce((sum, { count }) => sum + count, 0)
  const width = WIDTH / Math.max(1, bars.length)
  const placeOf = (event: PointerEvent): number => {
    const box = svg.current?.getBoundingClientRect()
    if (!box?.width) return 0
    return Math.max(0, Math.min(WIDTH, ((event.clientX - box.left) / box.width) * WIDTH))
  }
  const start = (event: PointerEvent) => {
    if (event.button !== 0 || bars.length === 0) return
    svg.current?.setPointerCapture(event.pointerId)
    setDrag([placeOf(event), placeOf(event)])
  }
  const end = () => {
    if (!drag) return
    setDrag(undefined)
    const [left, right] = drag[0] < drag[1] ? drag : [drag[1], drag[0]]
    const first = bars[Math.floor(left / width)]
    const last = bars[Math.min(bars.length - 1, Math.floor(right / width))]
    if (first && last && right - left >= LEAST_DRAG) onNarrow(first.from, last.to)
  }
  return (
    <svg
      ref={svg}
      class="bars"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={histogramSaid.said(numberOf(total), total)}
      onPointerDown={start}
      onPointerMove={(event) => drag && setDrag([drag[0], placeOf(event)])}
      onPointerUp={end}
      onPointerCancel={() => setDrag(undefined)}
    >
      {bars.map(({ from, count }, place) => {
        const height = count === 0 ? 0 : Math.max(1.5, (HEIGHT * count) / most)
        return (
          <g key={from}>
            <rect class="bar-space" x={place * width} y={0} width={width} height={HEIGHT}>
              <title>{`${localOf(new Date(from))}\n${eventsSaid.count(numberOf(count), count)}`}</title>
            </rect>
            <rect class="bar-count" x={place * width + width * 0.1} y={HEIGHT - height} width={width * 0.8} height={height} />
          </g>
        )
      })}
      {drag && <rect class="bar-drag" x={Math.min(...drag)} y={0} width={Math.abs(drag[1] - drag[0])} height={HEIGHT} />}
    </svg>
  )
}

function BarTable({ bars, onNarrow }: { bars: Bar[] } & Pick<HistogramProps, 'onNarrow'>) {
  return (
    <div class="table-box bar-table" tabindex={0} role="region" aria-label={histogramWords.asTable}>
      <table>
        <caption class="hidden">{histogramWords.asTable}</caption>
        <thead>
          <tr>
            <th scope="col">{filterSaid.ends.from}</th>
            <th scope="col" class="number">
              {eventsWords.title}
            </th>
            <th scope="col">
              <span class="hidden">{histogramWords.narrow}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {bars.map(({ from, to, count }) => (
            <tr key={from}>
              <td class="time">
                <Time at={from} />
              </td>
              <td class="number">{numberOf(count)}</td>
              <td>
                <button type="button" class="button quiet" onClick={() => onNarrow(from, to)}>
                  {histogramWords.narrow}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
