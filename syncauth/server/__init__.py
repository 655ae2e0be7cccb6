"""
The bundled server: the App Services compatible account API and the sync hub, on one port.

It shares with the client only the wire (`sansio.messages`, `sansio.sync_errors`, `ejson`), `rows`,
`models` and `errors`; it must never import the app, the driver, the replica, the adapters or the engine.
"""
