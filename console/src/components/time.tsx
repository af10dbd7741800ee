import { localOf, offsetOf, relativeOf } from '../shown'

/** A time in the reader's zone; UTC and how long ago it was are in its title. */
export function Time({ at, relative = false }: { at: string; relative?: boolean }) {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return <span>{at}</span>
  const local = localOf(date)
  const ago = relativeOf(date)
  return (
    <time datetime={at} title={`${local} ${offsetOf(date)}\n${at} (UTC)\n${ago}`}>
      {relative ? ago : local}
    </time>
  )
}
