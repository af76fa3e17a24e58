package org.lvtmobile.app

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.os.PowerManager
import android.util.Log
import android.view.WindowManager
import android.widget.TextView
import org.lvtmobile.core.BenchFailure
import org.lvtmobile.core.BenchReply
import org.lvtmobile.core.BenchReplyFile
import org.lvtmobile.core.BenchResult
import org.lvtmobile.core.Benchmark
import org.lvtmobile.core.RunConditions
import org.lvtmobile.core.UserError
import org.lvtmobile.core.benchRequestJson
import org.lvtmobile.core.firstLine
import org.lvtmobile.core.replyFileName
import java.io.IOException
import kotlin.concurrent.thread

/**
 * Measures an artifact on request of `adb shell am start`, writes the reply file, and finishes.
 *
 * This is an activity, not a service, because Android schedules foreground activities on the fast cores,
 * as for any app in use. Only callers with the permission `DUMP` can start it: `adb shell` has this
 * permission, apps cannot get it. See docs/android.md for the command.
 */
class BenchmarkActivity : Activity() {
    private val power by lazy { getSystemService(PowerManager::class.java) }
    private val foreground = ForegroundWatch { power.isInteractive }
    private val handler = Handler(Looper.getMainLooper())
    private val giveUp = Runnable { start { throw UserError("the benchmark does not get to the foreground; $UNLOCK") } }
    private var started = false

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (savedInstanceState != null) return finish() // recreated by Android: the caller no longer waits
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        showOnLockedScreen()
        setContentView(TextView(this).apply { setText(R.string.benchmark_running) })
        handler.postDelayed(giveUp, START_TIMEOUT_MS)
    }

    @Suppress("DEPRECATION") // the flags are for Android 8.0, which has no methods for them
    private fun showOnLockedScreen() {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        } else {
            window.addFlags(
                WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED or WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON,
            )
        }
    }

    /** Starts only now: while the screen turns on, Android may pause and resume the activity. */
    override fun onWindowFocusChanged(hasFocus: Boolean) {
        super.onWindowFocusChanged(hasFocus)
        if (hasFocus && !isFinishing) start(foreground::require)
    }

    override fun onPause() {
        foreground.leave()
        super.onPause()
    }

    override fun onDestroy() {
        handler.removeCallbacks(giveUp)
        super.onDestroy()
    }

    /** @param check throws an error if the benchmark must not run. */
    private fun start(check: () -> Unit) {
        if (started) return
        started = true
        handler.removeCallbacks(giveUp)
        val extras = readExtras()
        thread(name = "benchmark") {
            runAndWriteReply(extras, check)
            runOnUiThread(::finish)
        }
    }

    /** The extras of the intent; empty if they cannot be unpacked. */
    @Suppress("DEPRECATION") // the typed replacements require the type of each extra
    private fun readExtras(): Map<String, Any?> = try {
        intent.extras?.let { extras -> extras.keySet().associateWith { extras.get(it) } }.orEmpty()
    } catch (error: RuntimeException) { // for example a class that is not in this app
        Log.w(TAG, "cannot read the extras", error)
        emptyMap()
    }

    private fun runAndWriteReply(extras: Map<String, Any?>, check: () -> Unit) {
        val name = replyFileName(extras)
        val folder = demo.replyFolder()
            ?: return reportLost("the shared storage of this device is not available")
        val file = BenchReplyFile(folder, name)
        val reply = reply(extras, check, file::writeProgress)
        try {
            file.write(reply)
            Log.i(TAG, if (reply is BenchFailure) reply.toJson() else "done: $name")
        } catch (error: IOException) {
            reportLost("cannot write $name: ${error.firstLine()}")
        }
    }

    /** Without a file, the log is the only way to the caller: `lvt-bench` looks for this line. */
    private fun reportLost(reason: String) {
        Log.e(TAG, "no reply: $reason")
    }

    /** A reply whatever happens: the caller waits for it. */
    private fun reply(extras: Map<String, Any?>, check: () -> Unit, progress: (Int, Double) -> Unit): BenchReply = try {
        check()
        runExclusively(extras, progress)
    } catch (error: UserError) {
        BenchFailure(error.firstLine())
    } catch (_: OutOfMemoryError) {
        BenchFailure("not enough memory for this model")
    } catch (error: LinkageError) {
        BenchFailure("this device cannot load the runtime: ${error.firstLine()}")
    } catch (error: RuntimeException) {
        Log.e(TAG, "unexpected error", error)
        BenchFailure("unexpected error, please report it: $error".lineSequence().first())
    }

    private fun runExclusively(extras: Map<String, Any?>, progress: (Int, Double) -> Unit): BenchReply {
        if (!gate.tryEnter()) return BenchFailure("another benchmark is running; wait for its reply")
        try {
            return run(extras, progress)
        } finally {
            gate.leave()
        }
    }

    private fun run(extras: Map<String, Any?>, progress: (Int, Double) -> Unit): BenchReply {
        val before = power.thermalStatus()
        val request = benchRequestJson(extras, modelFolders())
        val reply = Benchmark(demo.runtimes(), deviceProperties()).run(request) { done, share ->
            foreground.require()
            progress(done, share)
        }
        if (reply !is BenchResult) return reply
        foreground.require()
        return reply.copy(conditions = RunConditions(foreground = true, before, power.thermalStatus()))
    }

    /** Properties of the device for the reply, read before the measurement. */
    private fun deviceProperties(): Map<String, String> = buildMap {
        put("system", "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})")
        put("model", "${Build.MANUFACTURER} ${Build.MODEL}")
        put("build", Build.FINGERPRINT)
        put("architecture", Build.SUPPORTED_ABIS.first())
        put("cores", Runtime.getRuntime().availableProcessors().toString())
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) put("soc", "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}")
        put("power_save", power.isPowerSaveMode.toString())
    }

    private companion object {
        const val TAG = "lvt-bench"
        const val START_TIMEOUT_MS = 20_000L
        const val UNLOCK = "unlock the device and start it again"

        /** Two benchmarks at the same time would disturb each other. */
        val gate = FrameGate()
    }
}
