import { changeQuery } from '../router'

/** Which page the address names. */
export function pageIn(query: URLSearchParams): { cursor: string | undefined; direction: 'backward' | 'forward' } {
  return { cursor: query.get('cursor') ?? undefined, direction: query.get('direction') === 'backward' ? 'backward' : 'forward' }
}

interface PagerProps {
  page: { nextCursor?: string; previousCursor?: string }
  /** What the buttons say. */
  back: string
  on: string
}

/** To the page before and after this one. The address has the place. */
export function Pager({ page: { nextCursor, previousCursor }, back, on }: PagerProps) {
  if (!nextCursor && !previousCursor) return null
  return (
    <div class="actions">
      <button type="button" class="button" disabled={!previousCursor} onClick={() => changeQuery({ cursor: previousCursor, direction: 'backward' })}>
        {back}
      </button>
      <button type="button" class="button" disabled={!nextCursor} onClick={() => changeQuery({ cursor: nextCursor, direction: undefined })}>
        {on}
      </button>
    </div>
  )
}
