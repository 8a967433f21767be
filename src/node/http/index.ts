// The door of the HTTP server: fastify stays behind it.

export { createHttpServer, type HttpServer, type HttpServerOptions } from './server.ts';
