"""The names in the protocol: headers, opcodes, query keys, environment
variables.

It has names only, and no logic: the local server in
:mod:`inngest_wsgi.testing` shares this module and nothing else of the SDK.
"""

# -- this SDK ------------------------------------------------------------

VERSION = "0.1.0"
SDK_NAME = "inngest-wsgi"
#: ``X-Inngest-Sdk`` and ``User-Agent``.
SDK_IDENTITY = f"{SDK_NAME}:v{VERSION}"
SDK_AUTHOR = "inngest-wsgi"
LANGUAGE = "py"
FRAMEWORK = "wsgi"
#: ``X-Inngest-Req-Version``, the version of the protocol of calls. With 2 the
#: server makes one discovery request when a whole parallel group is done.
REQ_VERSION = "2"
#: ``v`` in a registration.
REGISTER_VERSION = "0.1"
INTROSPECTION_SCHEMA = "2024-05-24"

# -- headers -------------------------------------------------------------

HEADER_ACCEPT = "Accept"
HEADER_AUTHORIZATION = "Authorization"
HEADER_CONTENT_TYPE = "Content-Type"
HEADER_ENV = "X-Inngest-Env"
HEADER_EVENT_ID_SEED = "X-Inngest-Event-Id-Seed"
HEADER_EXPECTED_SERVER_KIND = "X-Inngest-Expected-Server-Kind"
HEADER_FRAMEWORK = "X-Inngest-Framework"
HEADER_NO_RETRY = "X-Inngest-No-Retry"
HEADER_ORIGIN = "Origin"
HEADER_PLATFORM = "X-Inngest-Platform"
HEADER_REFERER = "Referer"
HEADER_REQ_VERSION = "X-Inngest-Req-Version"
HEADER_RETRY_AFTER = "Retry-After"
HEADER_RUN_ID = "X-Run-Id"
HEADER_SDK = "X-Inngest-Sdk"
HEADER_ACCEL_BUFFERING = "X-Accel-Buffering"
HEADER_SDK_HANDLED = "X-Inngest-Sdk-Handled"
HEADER_SEC_FETCH_SITE = "Sec-Fetch-Site"
HEADER_SERVER_KIND = "X-Inngest-Server-Kind"
HEADER_SERVER_TIMING = "Server-Timing"
HEADER_SIGNATURE = "X-Inngest-Signature"
HEADER_SYNC_KIND = "X-Inngest-Sync-Kind"
HEADER_TRACEPARENT = "Traceparent"
HEADER_TRACESTATE = "Tracestate"
HEADER_USER_AGENT = "User-Agent"

# -- modes, kinds --------------------------------------------------------

CLOUD = "cloud"
DEV = "dev"
IN_BAND = "in_band"
OUT_OF_BAND = "out_of_band"

# -- the query of a request to the endpoint ------------------------------

QUERY_DEPLOY_ID = "deployId"
QUERY_FN_ID = "fnId"
#: The part of the page of dev mode that is requested.
QUERY_LANDING = "landing"
QUERY_PROBE = "probe"
QUERY_STEP_ID = "stepId"
#: ``stepId`` of a call that targets no step, and the key and id of the one
#: entry in a registered function's ``steps``.
STEP = "step"
PROBE_TRUST = "trust"

# -- tests ---------------------------------------------------------------

#: The key of a WSGI environ by which a test's server hands the endpoint the
#: object that binds it. No key without ``HTTP_`` can come from a request.
ENVIRON_TEST = "inngest_wsgi.test"
#: Stands for a server's address in URLs that no request is sent to.
TEST_ORIGIN = "http://inngest.test"

# -- opcodes -------------------------------------------------------------

OP_AI_GATEWAY = "AIGateway"
OP_DISCOVERY_REQUEST = "DiscoveryRequest"
OP_GATEWAY = "Gateway"
#: Ends a call, and nothing follows from it.
OP_NONE = "None"
OP_INVOKE_FUNCTION = "InvokeFunction"
OP_RUN_COMPLETE = "RunComplete"
OP_SLEEP = "Sleep"
#: The older name of ``StepRun``; its data is stored without a wrapper (W24).
OP_STEP = "Step"
OP_STEP_ERROR = "StepError"
OP_STEP_FAILED = "StepFailed"
OP_STEP_NOT_FOUND = "StepNotFound"
OP_STEP_PLANNED = "StepPlanned"
OP_STEP_RUN = "StepRun"
OP_WAIT_FOR_EVENT = "WaitForEvent"
OP_WAIT_FOR_SIGNAL = "WaitForSignal"

#: ``opts.type`` of an op, which the server's page displays.
TYPE_AI_INFER = "step.ai.infer"
TYPE_AI_WRAP = "step.ai.wrap"
TYPE_SEND_EVENT = "step.sendEvent"
TYPE_SEND_SIGNAL = "step.sendSignal"
#: ``opts.parallelMode`` of the ops of a parallel group; without it: wait.
PARALLEL_RACE = "race"
PARALLEL_WAIT = "wait"

# -- events of the server ------------------------------------------------

EVENT_FUNCTION_CANCELLED = "inngest/function.cancelled"
EVENT_FUNCTION_FAILED = "inngest/function.failed"
EVENT_FUNCTION_FINISHED = "inngest/function.finished"
EVENT_FUNCTION_INVOKED = "inngest/function.invoked"
EVENT_SCHEDULED_TIMER = "inngest/scheduled.timer"

# -- paths of the server's APIs ------------------------------------------

PATH_CHECKPOINT = "/v1/checkpoint/{}/async"
PATH_EVENT = "/e/"
PATH_EVENT_RUNS = "/v1/events/{}/runs"
PATH_REGISTER = "/fn/register"
#: The server's refusal of a registration, without a word on which (W55).
ERROR_INVALID_FUNCTION = "At least one function is invalid"
PATH_RUN_V0 = "/v0/runs/"
PATH_RUN_V1 = "/v1/runs/"
PATH_SIGNALS = "/v1/signals"

# -- default addresses ---------------------------------------------------

CLOUD_API_ORIGIN = "https://api.inngest.com"
CLOUD_EVENT_API_ORIGIN = "https://inn.gs"
#: The path at which a server looks for an endpoint first.
DEFAULT_SERVE_PATH = "/api/inngest"
DEV_SERVER_ORIGIN = "http://localhost:8288"
#: The event API's path has this where no event key is needed, in dev mode.
NO_EVENT_KEY = "NO_EVENT_KEY_SET"

# -- environment variables -----------------------------------------------

ENV_ALLOW_IN_BAND_SYNC = "INNGEST_ALLOW_IN_BAND_SYNC"
ENV_API_BASE_URL = "INNGEST_API_BASE_URL"
ENV_BASE_URL = "INNGEST_BASE_URL"
ENV_CHECKPOINTING = "INNGEST_CHECKPOINTING"
ENV_DEV = "INNGEST_DEV"
ENV_ENABLE_UNAUTHED_SYNC = "INNGEST_ENABLE_UNAUTHED_SYNC"
ENV_ENV = "INNGEST_ENV"
ENV_EVENT_API_BASE_URL = "INNGEST_EVENT_API_BASE_URL"
ENV_EVENT_KEY = "INNGEST_EVENT_KEY"
ENV_LANDING_PAGE = "INNGEST_LANDING_PAGE"
ENV_LOG_LEVEL = "INNGEST_LOG_LEVEL"
ENV_SERVE_HOST = "INNGEST_SERVE_HOST"
ENV_SERVE_ORIGIN = "INNGEST_SERVE_ORIGIN"
ENV_SERVE_PATH = "INNGEST_SERVE_PATH"
ENV_SIGNING_KEY = "INNGEST_SIGNING_KEY"
ENV_SIGNING_KEY_FALLBACK = "INNGEST_SIGNING_KEY_FALLBACK"
ENV_STREAMING = "INNGEST_STREAMING"

#: Variables in which hosting platforms name the git branch of a deployment,
#: the first that is set counts. The order is the official Python SDK's; the
#: last one is not read by it.
ENV_BRANCHES = (
    "RAILWAY_GIT_BRANCH",
    "RENDER_GIT_BRANCH",
    "VERCEL_GIT_COMMIT_REF",
    # set in review apps alone, which are what branch environments are for
    "HEROKU_BRANCH",
)

#: A variable that a hosting platform sets; the value that it has there, None
#: for any; and the platform's name as ``X-Inngest-Platform`` carries it. The
#: last two names are not the official JS SDK's.
ENV_PLATFORMS = (
    ("VERCEL", "1", "vercel"),
    ("NETLIFY", "true", "netlify"),
    ("CF_PAGES", "1", "cloudflare-pages"),
    ("RENDER", "true", "render"),
    ("RAILWAY_ENVIRONMENT", None, "railway"),
    ("DYNO", None, "heroku"),
    ("FLY_APP_NAME", None, "fly"),
)
