// The door of the HTTP servers: fastify stays behind it.

export { type AdminServerDeps, type AdminServerOptions, createAdminServer } from './admin.ts';
export type { HttpServer } from './listener.ts';
export {
  createHttpServer,
  type HttpEvents,
  type HttpServerDeps,
  type HttpServerOptions,
} from './server.ts';
