// The events API as one would write it in an afternoon: tRPC's standalone server, zod, a pool of PostgreSQL connections,
// one INSERT per event. It is meant to be fair: prepared statements, the indexes that its queries need, NODE_ENV=production.
// Its stream is an emitter in memory. With NOTICES, LISTEN announces events of other processes, and a SELECT reads them.
// Environment: PORT, TOKEN, USER_ID, NOTICES, and the PG* variables of libpq.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { initTRPC, tracked, TRPCError } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';
import pg from 'pg';
import { z } from 'zod';

const pool = new pg.Pool({ max: 20 });

await pool.query(`
  CREATE TABLE IF NOT EXISTS events (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    subject_id text,
    data jsonb NOT NULL,
    metadata jsonb,
    user_id text NOT NULL,
    source text NOT NULL,
    "timestamp" timestamptz NOT NULL DEFAULT clock_timestamp(),
    correlation_id text,
    causation_id text
  );
  CREATE INDEX IF NOT EXISTS events_newest ON events ("timestamp" DESC, id DESC);
  CREATE INDEX IF NOT EXISTS events_of_type ON events (type, "timestamp" DESC, id DESC);
  CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, "timestamp" DESC, id DESC);
`);

const logged = new EventEmitter().setMaxListeners(0);

if (process.env.NOTICES) {
  const listener = await pool.connect();
  let before = Promise.resolve();
  listener.on('notification', ({ payload }) => {
    const found = pool.query({ name: 'logged', text: 'SELECT * FROM events WHERE id = $1', values: [payload] });
    before = before.then(async () => logged.emit('event', toEvent((await found).rows[0])));
  });
  await listener.query('LISTEN logged');
}

const digest = (text) => createHash('sha256').update(text).digest();
const expected = digest(`Bearer ${process.env.TOKEN}`);

const t = initTRPC.context().create();

const authed = t.procedure.use(({ ctx, next }) => {
  if (!timingSafeEqual(digest(ctx.authorization), expected)) throw new TRPCError({ code: 'UNAUTHORIZED' });
  return next({ ctx: { userId: process.env.USER_ID } });
});

const Source = z.enum(['api', 'automation', 'sync', 'migration', 'system', 'intelligence']);
const Type = z.string().max(128).regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/);
const Id = z.string().min(1).max(256);
const Score = z.number().min(0).max(1);

const Metadata = z.object({
  ai: z.object({
    agent: Id,
    confidence: z.object({ score: Score, reasoning: z.string().optional() }).optional(),
    extraction: z.object({
      extractedFrom: z.object({ messageId: Id, threadId: Id.optional(), content: z.string().optional() }),
      method: z.enum(['explicit', 'implicit', 'relationship']),
    }).optional(),
  }).optional(),
  custom: z.record(z.string(), z.unknown()).optional(),
});

const LogEvent = z.strictObject({
  type: Type,
  subjectId: Id.optional(),
  data: z.record(z.string(), z.unknown()),
  metadata: Metadata.optional(),
  source: Source.default('api'),
  correlationId: Id.optional(),
  causationId: Id.optional(),
});

const ListEvents = z.strictObject({
  limit: z.int().min(1).max(1000).default(100),
  offset: z.int().min(0).default(0),
  type: Type.optional(),
  source: Source.optional(),
  hasMetadata: z.boolean().optional(),
});

/** A row as the API shows it: unset fields are absent. */
const toEvent = (row) => ({
  id: row.id,
  version: 'v1',
  type: row.type,
  subjectId: row.subject_id ?? undefined,
  data: row.data,
  metadata: row.metadata ?? undefined,
  userId: row.user_id,
  source: row.source,
  timestamp: row.timestamp,
  correlationId: row.correlation_id ?? undefined,
  causationId: row.causation_id ?? undefined,
});

const log = authed.input(LogEvent).mutation(async ({ input, ctx }) => {
  const { rows } = await pool.query({
    name: 'log',
    text: `INSERT INTO events (id, type, subject_id, data, metadata, user_id, source, correlation_id, causation_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *`,
    values: [
      randomUUID(), input.type, input.subjectId, input.data, input.metadata,
      ctx.userId, input.source, input.correlationId, input.causationId,
    ],
  });
  const event = toEvent(rows[0]);
  if (process.env.NOTICES) await pool.query("SELECT pg_notify('logged', $1)", [event.id]);
  else logged.emit('event', event);
  return event;
});

const get = authed.input(z.strictObject({ eventId: z.uuid() })).query(async ({ input }) => {
  const { rows } = await pool.query({ name: 'get', text: 'SELECT * FROM events WHERE id = $1', values: [input.eventId] });
  if (rows.length === 0) throw new TRPCError({ code: 'NOT_FOUND', message: 'Event not found' });
  return toEvent(rows[0]);
});

const list = authed.input(ListEvents).query(async ({ input }) => {
  const where = ['true'];
  const values = [input.limit, input.offset];
  if (input.type) where.push(`type = $${values.push(input.type)}`);
  if (input.source) where.push(`source = $${values.push(input.source)}`);
  if (input.hasMetadata !== undefined) where.push(`metadata IS ${input.hasMetadata ? 'NOT ' : ''}NULL`);
  const text = `SELECT * FROM events WHERE ${where.join(' AND ')} ORDER BY "timestamp" DESC, id DESC LIMIT $1 OFFSET $2`;
  const { rows } = await pool.query({ name: digest(text).toString('base64url'), text, values });
  return rows.map(toEvent);
});

const stream = authed.subscription(async function* ({ signal }) {
  for await (const [event] of on(logged, 'event', { signal })) yield tracked(event.id, event);
});

const server = createHTTPServer({
  basePath: '/trpc/',
  router: t.router({ events: t.router({ log, get, list, stream }) }),
  createContext: ({ req }) => ({ authorization: req.headers.authorization ?? '' }),
});
server.listen(Number(process.env.PORT), '127.0.0.1');
