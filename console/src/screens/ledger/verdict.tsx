import type { Verdict } from 'synap-verify'
import { Icon } from '../../components/icon'
import { Visible } from '../../components/visible'
import { numberOf } from '../../shown'
import * as said from '../../text/ledger'
import { words } from '../../text/ledger'

/** What the browser found: that it holds, or what is broken, and what nobody should overlook. */
export function VerdictNotice({ of, name }: { of: Verdict; name: string }) {
  const isRight = of.broken === null
  return (
    <div class={`notice ${isRight ? 'good' : 'bad'}`} role={isRight ? 'status' : 'alert'}>
      <Icon name={isRight ? 'check' : 'warning'} />
      <div>
        <strong>
          <Visible>{name}</Visible>: {isRight ? words.verified : words.notVerified}
        </strong>
        {of.broken && (
          <p>
            {of.broken.seq !== null && `${said.at(numberOf(of.broken.seq))} `}
            <Visible>{of.broken.message}</Visible>
          </p>
        )}
        {isRight && <p>{said.covers[of.kind](numberOf(of.count), of.size === null ? '' : numberOf(of.size))}</p>}
        {of.sentences?.map((sentence, place) => (
          <p key={place}>
            <Visible>{sentence}</Visible>
          </p>
        ))}
        {of.node && (
          <p>
            {words.signedBy} <code>{of.node}</code>
          </p>
        )}
        {doubts(of).map((doubt) => (
          <p key={doubt}>{doubt}</p>
        ))}
      </div>
    </div>
  )
}

function doubts({ breaks, lost, unconfirmed, kept }: Verdict): string[] {
  const found: [number, (count: string) => string][] = [
    [breaks.length, said.breaks],
    [lost.length, said.lost],
    [unconfirmed.length, said.unconfirmed],
    [kept.length, said.keptBodies],
  ]
  return found.filter(([count]) => count > 0).map(([count, say]) => say(numberOf(count)))
}
