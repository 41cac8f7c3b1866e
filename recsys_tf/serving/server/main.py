"""Run the local server: load the models, listen, and stop gracefully on Ctrl-C or SIGTERM."""

import signal
import socket
import sys
from types import FrameType

import grpc
import uvicorn

from recsys_tf.config import ServeConfig
from recsys_tf.serving.model_config import configured_models
from recsys_tf.serving.server.application import RestApplication
from recsys_tf.serving.server.batching import Batcher
from recsys_tf.serving.server.batching_parameters import BatchingParameters, read_batching_parameters
from recsys_tf.serving.server.bounds import Bounds
from recsys_tf.serving.server.connection import connection_class
from recsys_tf.serving.server.grpc_services import grpc_server, listen
from recsys_tf.serving.server.listening import listening_socket
from recsys_tf.serving.server.model_table import ModelTable
from recsys_tf.serving.server.observing import Observer, write_json_line
from recsys_tf.serving.server.pages import ShopPages

# Requests under way get this long to finish after SIGTERM or Ctrl-C.
_GRACE_SECONDS = 10
# Threads that answer, and as many again for each interface where most of them wait.
_WORKERS, _WAITING_WORKERS = 2, 128


def serve_locally(config: ServeConfig) -> None:
    """Serve the models over HTTP until a signal stops it.

    Prints a line for each version that becomes available, and the address. Raises InputError for models that cannot
    be found and for a port in use.
    """
    models = configured_models(config.model, config.model_config_file)
    listener = listening_socket(config.host, config.rest_port)
    if config.grpc_port >= 0:
        # Taken and let go at once: a port in use is said before models take seconds to load.
        listening_socket(config.host, config.grpc_port, "--grpc-port").close()
    batcher = _batcher(config)
    say = _log if config.json_logs else _say
    table = ModelTable(models, config.poll_seconds, say, batcher, Bounds(config.max_rows, config.max_values_per_row))
    observer = Observer(table.names, write_json_line if config.json_logs else None)
    # A request that waits for its batch holds a thread.
    workers = _WAITING_WORKERS if batcher is not None else _WORKERS
    pages = ShopPages(table.names, config.tutorial) if config.demo else None
    application = RestApplication(
        table, config.max_body_bytes, config.request_timeout_seconds, workers, observer=observer, pages=pages
    )
    with listener:
        signal.signal(signal.SIGTERM, _interrupt)
        calls = None
        try:
            table.start()
            calls = _grpc(config, table, observer, workers)
            _say(f"Serving {', '.join(models)} at {address(listener)}/v1/models/ (Ctrl-C stops it)")
            if config.demo:
                _say(f"Try it in a browser: {address(listener)}/")
            rest_server(application, config.request_timeout_seconds).run(sockets=[listener])
        except KeyboardInterrupt:
            # uvicorn has finished its requests by now and raises the signal once more for its caller.
            pass
        finally:
            if calls is not None:
                calls.stop(_GRACE_SECONDS).wait()
            table.stop()
            application.close()
            if batcher is not None:
                batcher.close()
    _say("stopped")


def _batcher(config: ServeConfig) -> Batcher | None:
    """Return what batches requests, where that is wanted. Raises InputError for parameters that cannot be used."""
    if not config.enable_batching:
        return None
    file = config.batching_parameters_file
    return Batcher(BatchingParameters() if file is None else read_batching_parameters(file))


def _grpc(config: ServeConfig, table: ModelTable, observer: Observer, workers: int) -> grpc.Server | None:
    """Start the gRPC interface, where it is wanted. Raises InputError for a port in use."""
    if config.grpc_port < 0:
        return None
    server = grpc_server(table, config.max_body_bytes, observer, workers)
    port = listen(server, config.host, config.grpc_port)
    server.start()
    _say(f"gRPC at {config.host}:{port}")
    return server


def rest_server(application: RestApplication, patience: float = 30.0) -> uvicorn.Server:
    """Return uvicorn's server for the application, as plain as it can be: no log, no websockets, no lifespan.

    patience: seconds that a client has to send a request's head, and to read an answer.
    """
    config = uvicorn.Config(
        application,
        loop="asyncio",
        http=connection_class(patience, _GRACE_SECONDS),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        # By then the connections have ended themselves; what is left are graphs that run on.
        timeout_graceful_shutdown=_GRACE_SECONDS + 1,
    )
    return uvicorn.Server(config)


def address(listener: socket.socket) -> str:
    """Return the address that a client types: http://host:port."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _log(line: str) -> None:
    write_json_line({"event": line})


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
