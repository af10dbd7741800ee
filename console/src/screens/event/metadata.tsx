import { Fact } from '../../components/fact'
import { Tree, type Pick } from '../../components/tree'
import { Visible } from '../../components/visible'
import type { Ai, Metadata, MetadataKind } from '../../contract'
import { to } from '../../router'
import { durationOf, labelOf, numberOf } from '../../shown'
import { membersOf, type Schema } from '../../skeleton'
import { words as text } from '../../text/common'
import * as said from '../../text/metadata'
import { words } from '../../text/metadata'
import { Confidence } from '../events/columns'
import { Time } from '../../components/time'

/** Each section of the metadata as a person reads it. A developer's own kind is read by its schema. */
export function MetadataCards({ metadata, kinds, onPick }: { metadata: Metadata; kinds: MetadataKind[]; onPick: Pick }) {
  const { ai, ...others } = metadata
  return (
    <>
      {ai && <AiCard ai={ai} onPick={onPick} />}
      {Object.entries(others).map(([name, value]) => (
        <section key={name} class="card" aria-label={said.names[name] ?? name}>
          <h2>
            <Visible>{said.names[name] ?? name}</Visible>
          </h2>
          <Section name={name} value={value as Record<string, unknown>} kind={kinds.find((kind) => kind.name === name)} onPick={onPick} />
        </section>
      ))}
    </>
  )
}

function Section({ name, value, kind, onPick }: { name: string; value: Record<string, unknown>; kind: MetadataKind | undefined; onPick: Pick }) {
  const schema = (kind?.schema ?? {}) as Schema
  const properties = membersOf(schema, schema)
  const isKnown = Object.keys(value).every((member) => Object.hasOwn(properties, member))
  if (!isKnown) return <Tree value={value} name={name} path={`metadata.${name}`} onPick={onPick} />
  return (
    <>
      {kind && !kind.builtIn && <p class="hint">{kind.description}</p>}
      <dl class="facts">
        {Object.entries(value).map(([member, content]) => (
          <Fact key={member} name={<Visible>{labelOf(member)}</Visible>} hint={properties[member]?.description}>
            <Content value={content} name={member} path={`metadata.${name}.${member}`} onPick={onPick} />
          </Fact>
        ))}
      </dl>
    </>
  )
}

function Content({ value, name, path, onPick }: { value: unknown; name: string; path: string; onPick: Pick }) {
  if (typeof value === 'object' && value !== null) return <Tree value={value} name={name} path={path} onPick={onPick} />
  if (typeof value === 'boolean') return <>{value ? words.yes : words.no}</>
  const shown = String(value)
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(shown) && !Number.isNaN(Date.parse(shown))) return <Time at={shown} />
  return (
    <button type="button" class="cell-value wrap" title={text.pick} onClick={(event) => onPick(path, value as string, event.altKey)}>
      <Visible multiline>{shown}</Visible>
    </button>
  )
}

function AiCard({ ai, onPick }: { ai: Ai; onPick: Pick }) {
  const { agent, confidence, extraction, classification, relationships, reasoning, inferredProperties } = ai
  return (
    <section class="card" aria-label={said.names['ai']}>
      <h2>{said.names['ai']}</h2>
      <dl class="facts">
        <Fact name={words.agent}>
          <Content value={agent} name="agent" path="metadata.ai.agent" onPick={onPick} />
        </Fact>
        {confidence && (
          <Fact name={words.confidence}>
            <Confidence score={confidence.score} />
            {confidence.reasoning && (
              <p class="quiet-text">
                <Visible multiline>{confidence.reasoning}</Visible>
              </p>
            )}
          </Fact>
        )}
        {reasoning?.durationMs !== undefined && <Fact name={words.duration}>{durationOf(reasoning.durationMs)}</Fact>}
        {reasoning?.tokenCount !== undefined && <Fact name={words.tokens}>{numberOf(reasoning.tokenCount)}</Fact>}
      </dl>
      {reasoning && <ReasoningPart reasoning={reasoning} />}
      {extraction && <ExtractionPart extraction={extraction} />}
      {classification && <ClassificationPart classification={classification} />}
      {relationships && <RelationshipsPart relationships={relationships} />}
      {inferredProperties && (
        <>
          <h3>{words.inferred}</h3>
          <Tree value={inferredProperties} name={words.inferred} path="metadata.ai.inferredProperties" onPick={onPick} />
        </>
      )}
    </section>
  )
}

function ReasoningPart({ reasoning: { steps, outcome } }: { reasoning: NonNullable<Ai['reasoning']> }) {
  return (
    <>
      <h3>{words.reasoning}</h3>
      <ol class="timeline">
        {steps.map(({ type, content, timestamp }, place) => (
          <li key={place} class={type}>
            <span class="timeline-kind">{said.steps[type]}</span>
            <span>
              <Visible multiline>{content}</Visible>
            </span>
            {timestamp && <Time at={timestamp} />}
          </li>
        ))}
        {outcome && (
          <li class="outcome">
            <span class="timeline-kind">{words.outcome}</span>
            <span>
              <strong>
                <Visible multiline>{outcome.action}</Visible>
              </strong>{' '}
              <Confidence score={outcome.confidence} />
              {outcome.alternatives && outcome.alternatives.length > 0 && (
                <span class="quiet-text">
                  {' '}
                  {words.alternatives} <Visible multiline>{outcome.alternatives.join(' · ')}</Visible>
                </span>
              )}
            </span>
          </li>
        )}
      </ol>
    </>
  )
}

function ExtractionPart({ extraction: { extractedFrom, method } }: { extraction: NonNullable<Ai['extraction']> }) {
  const { messageId, threadId, content } = extractedFrom
  return (
    <>
      <h3>{words.extraction}</h3>
      {content !== undefined && (
        <blockquote>
          <Visible multiline>{content}</Visible>
        </blockquote>
      )}
      <dl class="facts">
        <Fact name={words.method}>{method}</Fact>
        <Fact name={words.message}>
          <code>
            <Visible>{messageId}</Visible>
          </code>
        </Fact>
        <Fact name={words.thread}>
          <code>
            <Visible>{threadId}</Visible>
          </code>
        </Fact>
      </dl>
    </>
  )
}

function ClassificationPart({ classification: { categories, tags, method } }: { classification: NonNullable<Ai['classification']> }) {
  return (
    <>
      <h3>{words.classification}</h3>
      <dl class="facts">
        {categories.map(({ name, confidence }, place) => (
          <Fact key={place} name={<Visible>{name}</Visible>}>
            <Confidence score={confidence} />
          </Fact>
        ))}
        <Fact name={words.method}>{method}</Fact>
        {tags && (
          <Fact name={words.tags}>
            <Visible>{tags.join(', ')}</Visible>
          </Fact>
        )}
      </dl>
    </>
  )
}

function RelationshipsPart({ relationships: { relationships } }: { relationships: NonNullable<Ai['relationships']> }) {
  return (
    <>
      <h3>{words.relationships}</h3>
      <ul>
        {relationships.map(({ type, targetEntityId, confidence, bidirectional }, place) => (
          <li key={place} class="relation">
            {type.replaceAll('_', ' ')} {bidirectional ? '↔' : '→'}{' '}
            <a href={to(['events'], { filter: JSON.stringify({ subjectId: targetEntityId }) })}>
              <Visible>{targetEntityId}</Visible>
            </a>{' '}
            <Confidence score={confidence} />
          </li>
        ))}
      </ul>
    </>
  )
}
