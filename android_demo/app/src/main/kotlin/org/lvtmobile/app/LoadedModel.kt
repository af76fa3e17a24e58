package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Labels
import org.lvtmobile.core.Placement
import org.lvtmobile.core.Prediction
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import org.lvtmobile.core.decodeOutputs
import org.lvtmobile.core.firstLine

/** What to load: an artifact, and how to run it. */
data class ModelRequest(val entry: ModelEntry, val settings: RunSettings)

/**
 * Why another runtime runs a model than the selected one.
 *
 * @property runtime the selected one.
 * @property message why it did not start; empty if the app ended during its start.
 */
data class Fallback(val runtime: String, val message: String)

/**
 * A model that runs, as the screen shows it.
 *
 * @property accelerator the first choice for operators.
 * @property placement how many operators the accelerator runs; null: the runtime does not tell.
 * @property fallback null if the selected runtime runs the model.
 */
data class ModelInfo(
    val name: String,
    val precision: String,
    val size: Size,
    val runtime: String,
    val version: String,
    val accelerator: String,
    val threads: Int,
    val placement: Placement?,
    val fallback: Fallback?,
)

/** A loaded model with everything that belongs to its pictures. Used on the inference thread only. */
internal class LoadedModel(
    private val artifact: Artifact,
    private val session: Session,
    val info: ModelInfo,
    private val nanoseconds: () -> Long,
) : AutoCloseable by session {
    private val labels: Labels = artifact.manifest.labels ?: throw AppError(Phrase(R.string.model_is_backbone, artifact.file.name))
    private val latency = LatencyTracker()
    private var rgb = ByteArray(0)

    val overlay = Overlay()

    /** The last prediction; null before the first. */
    var prediction: Prediction? = null
        private set

    /** Predicts and renders a frame. */
    fun process(frame: Frame, style: OverlayStyle, live: Boolean) {
        val times = mutableListOf(nanoseconds())
        val picture = frame.toPicture(rgb)
        rgb = picture.rgb
        val image = artifact.preprocessing.apply(picture)
        times += nanoseconds()
        val outputs = session.run(image)
        times += nanoseconds()
        val decoded = decodeOutputs(artifact, outputs, picture.size)
        times += nanoseconds()
        overlay.show(decoded, labels, style, live)
        times += nanoseconds()
        prediction = decoded
        latency.add(times)
    }

    /** Renders the last prediction again. */
    fun restyle(style: OverlayStyle) {
        prediction?.let { overlay.render(it, labels, style) }
    }

    fun report(dropped: Int): LatencyReport? = latency.report(dropped)
}

/** Opens models. An accelerator that fails is replaced by the CPU, and the journal remembers it. */
internal class ModelLoader(
    private val runtimes: List<Runtime>,
    private val journal: LaunchJournal,
    private val nanoseconds: () -> Long,
) {
    /**
     * Opens a model.
     *
     * @throws AppError no runtime of this app can show it.
     * @throws UserError no runtime can open it; says why.
     */
    fun load(request: ModelRequest): LoadedModel {
        val (entry, settings) = request
        val file = entry.file()
        val selected = settings.selectRuntime(entry, runtimes) ?: throw AppError(
            Phrase(
                R.string.model_without_runtime,
                entry.manifest?.target.orEmpty(),
                entry.name,
                runtimes.map { it.target }.distinct().joinToString(),
            ),
        )
        val artifact = Artifact.open(file)
        val cpu = runtimes.first { it.target == selected.target }
        if (!selected.needsDriver) return open(artifact, selected, settings.threads, null)
        journal.failure(entry.name, selected.name)?.let { message ->
            return openInstead(artifact, cpu, settings.threads, Fallback(selected.name, message))
        }
        journal.begin(entry.name, selected.name)
        val message = try {
            return open(artifact, selected, settings.threads, null)
        } catch (error: UserError) {
            error.firstLine()
        } catch (error: LinkageError) {
            "this device cannot load the runtime: ${error.firstLine()}"
        }
        journal.fail(entry.name, selected.name, message)
        return openInstead(artifact, cpu, settings.threads, Fallback(selected.name, message))
    }

    /** @throws AppError or UserError: the CPU has no runtime for the target; the reason that the accelerator gave. */
    private fun openInstead(artifact: Artifact, cpu: Runtime, threads: Int, fallback: Fallback): LoadedModel {
        if (cpu.needsDriver) {
            if (fallback.message.isEmpty()) throw AppError(Phrase(R.string.runtime_ended_app, fallback.runtime))
            throw UserError(fallback.message)
        }
        return open(artifact, cpu, threads, fallback)
    }

    private fun open(artifact: Artifact, runtime: Runtime, threads: Int, fallback: Fallback?): LoadedModel {
        val session = runtime.open(artifact, threads)
        var model: LoadedModel? = null
        try {
            val info = ModelInfo(
                name = artifact.file.name,
                precision = artifact.manifest.precision,
                size = artifact.size,
                runtime = runtime.name,
                version = runtime.version,
                accelerator = runtime.accelerator,
                threads = threads,
                placement = session.placement,
                fallback = fallback,
            )
            model = LoadedModel(artifact, session, info, nanoseconds)
            return model
        } finally {
            if (model == null) session.close()
        }
    }
}

/** Accelerators need drivers of the device, which can end the app; the runtimes' own kernels do not. */
private val Runtime.needsDriver: Boolean get() = accelerator !in setOf("cpu", "xnnpack")
