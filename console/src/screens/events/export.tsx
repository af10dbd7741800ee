import { useRef, useState } from 'preact/hooks'
import { failureOf, type Api, type Failure } from '../../api'
import { Menu } from '../../components/menu'
import { FailureNotice } from '../../components/states'
import type { EventFilter, SynapEvent } from '../../contract'
import { useAccess } from '../../key'
import { numberOf } from '../../shown'
import { words as text } from '../../text/common'
import * as exportSaid from '../../text/export'
import { words as exportWords } from '../../text/export'
import { csvHead, csvLine } from './csv'
import type { Row } from './rows'
import type { Wanted } from './view'

const PIECE = 500
const FORMATS = ['ndjson', 'csv'] as const
type Format = (typeof FORMATS)[number]

interface ExportProps {
  rows: Row[]
  total: number | undefined
  wanted: () => Wanted
}

/** Writes the rows that are shown, or all matches, to a file. Both are asked for again: the table keeps no whole events. */
export function ExportMenu({ rows, total, wanted }: ExportProps) {
  const { api, workspace } = useAccess()
  const [done, setDone] = useState<number>()
  const [failure, setFailure] = useState<Failure>()
  const running = useRef<AbortController>(null)
  const write = async (asked: Wanted, format: Format, name: string) => {
    const mine = (running.current = new AbortController())
    setFailure(undefined)
    setDone(0)
    try {
      const parts = await collected(api, asked, format, mine.signal, setDone)
      save(new Blob(parts, { type: format === 'csv' ? 'text/csv' : 'application/x-ndjson' }), `${workspace}-${name}.${format}`)
    } catch (error) {
      if (!mine.signal.aborted) setFailure(failureOf(error))
    }
    setDone(undefined)
  }
  const [newest, oldest] = [rows[0]?.event.seq ?? 0, rows.at(-1)?.event.seq ?? 0]
  const shown = (): Wanted => {
    const { filter, ...others } = wanted()
    const places = { seq: { gte: oldest, lte: newest } }
    return { ...others, filter: filter ? ({ AND: [filter, places] } as EventFilter) : places }
  }
  return (
    <Menu label={exportWords.title} icon="download">
      {done !== undefined ? (
        <>
          <p role="status">{exportSaid.running(numberOf(done))}</p>
          <button type="button" class="button" onClick={() => running.current?.abort()}>
            {text.cancel}
          </button>
        </>
      ) : (
        <>
          {FORMATS.map((format) => (
            <button key={format} type="button" class="button" disabled={rows.length === 0} onClick={() => write(shown(), format, `seq-${oldest}-${newest}`)}>
              {exportSaid.page(numberOf(rows.length), format)}
            </button>
          ))}
          {FORMATS.map((format) => (
            <button key={format} type="button" class="button" disabled={!total} onClick={() => write(wanted(), format, 'all-matches')}>
              {exportSaid.all(numberOf(total ?? 0), format)}
            </button>
          ))}
          <p class="hint">{exportWords.hint}</p>
        </>
      )}
      <FailureNotice failure={failure} />
    </Menu>
  )
}

/** The whole file, in parts, page after page. */
async function collected(api: Api, wanted: Wanted, format: Format, signal: AbortSignal, onProgress: (done: number) => void): Promise<string[]> {
  const parts = format === 'csv' ? [csvHead()] : []
  let [cursor, done]: [string | undefined, number] = [undefined, 0]
  do {
    const page: { events: SynapEvent[]; nextCursor?: string } = await api.events.page.query(
      { ...wanted, limit: PIECE, ...(cursor ? { cursor } : {}) },
      { signal },
    )
    parts.push(page.events.map((event) => (format === 'csv' ? csvLine(event) : `${JSON.stringify(event)}\n`)).join(''))
    done += page.events.length
    onProgress(done)
    cursor = page.nextCursor
  } while (cursor)
  return parts
}

export function save(content: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
