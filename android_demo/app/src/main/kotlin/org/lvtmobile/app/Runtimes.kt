package org.lvtmobile.app

import android.content.Context
import android.os.Build
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.OnnxRuntimeNnapi
import org.lvtmobile.core.OnnxRuntimeQnn
import org.lvtmobile.core.OnnxRuntimeWebGpu
import org.lvtmobile.core.OnnxRuntimeXnnpack
import org.lvtmobile.core.Runtime
import java.io.File

/** The runtimes of this app. The first runtime for a target is the default. */
internal fun Context.allRuntimes(): List<Runtime> = listOf(
    OnnxRuntime,
    OnnxRuntimeXnnpack,
    OnnxRuntimeWebGpu,
    OnnxRuntimeNnapi,
    LiteRt,
    LiteRtGpu,
    LiteRtNnapi,
    ExecuTorch,
    OnnxRuntimeQnn(socModel(), nativeLibraries),
)

/** The folder of the app's native libraries, which Android creates if the app has them unpacked. */
internal val Context.nativeLibraries: File get() = File(applicationInfo.nativeLibraryDir.orEmpty())

/** The model number of the chip; empty before Android 12, which does not tell it. */
private fun socModel(): String = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) Build.SOC_MODEL else ""
