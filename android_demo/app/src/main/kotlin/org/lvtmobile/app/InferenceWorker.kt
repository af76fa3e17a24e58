package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Labels
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import org.lvtmobile.core.decodeOutputs
import java.util.concurrent.ExecutorService
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * Loads and runs one model on a dedicated thread. Model loading, inference and overlay rendering happen on
 * this thread only.
 *
 * @param listener called on the worker thread.
 * @param nanoseconds a monotonic clock.
 */
class InferenceWorker(
    private val runtimes: List<Runtime>,
    private val listener: Listener,
    private val nanoseconds: () -> Long = System::nanoTime,
) : AutoCloseable {
    /** Receives the results. Frames and overlays are valid only until the method returns. */
    interface Listener {
        fun onLoading(entry: ModelEntry)

        fun onReady(model: LoadedModel)

        fun onPrediction(frame: Frame, overlay: Overlay, latency: String)

        /**
         * The model failed and was unloaded.
         *
         * @param message one line for the user.
         */
        fun onError(message: String)
    }

    /** A model that is ready to run. */
    class LoadedModel internal constructor(
        val artifact: Artifact,
        val runtime: Runtime,
        val threads: Int,
        internal val session: Session,
    ) {
        /** Size of the network input. */
        val size: Size get() = artifact.size

        /** Title for the screen. */
        val title: String
            get() = "${artifact.file.name}\n${runtime.name} ${runtime.version}, $threads threads"
    }

    private val gate = FrameGate()
    private val pendingFrame = Frame() // protected by the gate

    // The following properties are used on the worker thread only.
    private val worker: ExecutorService = ThreadPoolExecutor(
        1, 1, 0, TimeUnit.SECONDS, LinkedBlockingQueue(), { Thread(it, "inference") },
        ThreadPoolExecutor.DiscardPolicy(), // the camera may deliver another frame after close()
    )
    private val overlay = Overlay()
    private val latencyTracker = LatencyTracker()
    private var rgb = ByteArray(0)
    private var model: LoadedModel? = null

    /** Loads the selected model and replaces the loaded one. */
    fun load(entry: ModelEntry, settings: RunSettings) = worker.execute {
        reportErrors {
            unload()
            listener.onLoading(entry)
            val file = entry.file()
            val runtime = settings.selectRuntime(entry, runtimes) ?: throw UserError(
                "this app has no runtime for ${entry.manifest?.target} files such as ${entry.name}; " +
                    "it supports ${runtimes.map { it.target }.distinct().joinToString()}",
            )
            val artifact = Artifact.open(file)
            val loaded = LoadedModel(artifact, runtime, settings.threads, runtime.open(artifact, settings.threads))
            model = loaded
            listener.onReady(loaded)
        }
    }

    /** Submits a camera frame. The frame is copied if the model is idle, else dropped. */
    fun submitCameraFrame(frame: Frame) {
        if (!gate.tryEnter()) return
        pendingFrame.copyFrom(frame)
        worker.execute {
            try {
                reportErrors { process(pendingFrame) }
            } finally {
                gate.leave()
            }
        }
    }

    /** Submits a photo. Photos are queued and never dropped. */
    fun submitPhoto(frame: Frame) = worker.execute { reportErrors { process(frame) } }

    private fun process(frame: Frame) {
        val (artifact, session, labels) = with(model ?: return) { Triple(artifact, session, labels(artifact)) }
        val start = nanoseconds()
        val picture = frame.toPicture(rgb)
        rgb = picture.rgb
        val image = artifact.preprocessing.apply(picture)
        val preprocessed = nanoseconds()
        val outputs = session.run(image)
        val inferred = nanoseconds()
        val prediction = decodeOutputs(artifact, outputs, picture.size)
        val postprocessed = nanoseconds()
        overlay.render(prediction, labels)
        val rendered = nanoseconds()
        latencyTracker.add(
            StageLatency(
                preprocess = (preprocessed - start) / NANOSECONDS_PER_MS,
                infer = (inferred - preprocessed) / NANOSECONDS_PER_MS,
                postprocess = (postprocessed - inferred) / NANOSECONDS_PER_MS,
                render = (rendered - postprocessed) / NANOSECONDS_PER_MS,
            ),
            rendered,
        )
        listener.onPrediction(frame, overlay, latencyTracker.format(gate.dropped))
    }

    private fun labels(artifact: Artifact): Labels = artifact.manifest.labels ?: throw UserError(
        "${artifact.file.name} is a backbone; it has no prediction to show",
    )

    /** Reports errors to the listener and unloads the model. An error must not crash the app. */
    private fun reportErrors(action: () -> Unit) {
        try {
            action()
        } catch (error: UserError) {
            unload()
            listener.onError(error.message.orEmpty())
        } catch (_: OutOfMemoryError) {
            unload()
            listener.onError("not enough memory for this model and picture; choose a smaller one")
        } catch (error: LinkageError) {
            unload()
            listener.onError("this device cannot load the runtime: ${error.message}")
        }
    }

    private fun unload() {
        model?.session?.close()
        model = null
        latencyTracker.clear()
    }

    /** Unloads the model and ends the thread, after the current task. */
    override fun close() {
        worker.execute(::unload)
        worker.shutdown()
    }
}

private const val NANOSECONDS_PER_MS = 1e6
