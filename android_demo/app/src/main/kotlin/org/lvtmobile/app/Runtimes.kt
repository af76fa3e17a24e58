package org.lvtmobile.app

import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.OnnxRuntimeNnapi
import org.lvtmobile.core.OnnxRuntimeXnnpack
import org.lvtmobile.core.Runtime

/** The runtimes of this app. The first runtime for a target is the default. */
val RUNTIMES: List<Runtime> = listOf(OnnxRuntime, OnnxRuntimeXnnpack, OnnxRuntimeNnapi, LiteRt, LiteRtGpu, LiteRtNnapi)
