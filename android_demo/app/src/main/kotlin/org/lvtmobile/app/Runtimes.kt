package org.lvtmobile.app

import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.OnnxRuntimeNnapi
import org.lvtmobile.core.OnnxRuntimeXnnpack
import org.lvtmobile.core.Runtime

/** What runs artifacts in this app; of those that take a file the first is the default. */
val RUNTIMES: List<Runtime> = listOf(OnnxRuntime, OnnxRuntimeXnnpack, OnnxRuntimeNnapi, LiteRt, LiteRtGpu, LiteRtNnapi)
